"""Reports: a load run, two of them side by side, a recording, or a probe, as something one looks at.

`read` takes rows out of a recording, or what a probe said out of its file; `run`, `compare`, `exchanges`,
`captures` and `probe` build documents of them (`model`: pure, what `--json` prints); `page` and `markdown`
render documents. It stands above the verbs whose results it tells, and uses their own formulas
(`harness.load.gpu.figures`) and documents (`harness.probe.document`).
"""
