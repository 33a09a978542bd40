from tests.real_bugs.real_bug import Made, RealBug

BUG = RealBug(
    reference="apache/tvm#19643",
    area="TOPI",
    title="the variance is computed in one pass, as E[x^2] - E[x]^2, and cancels",
    made=Made.NOT,
    remark="another algorithm in all of a kernel, not a change in one place",
)
