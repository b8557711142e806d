"""GPU log: what the cards did while tokens came, on the clock of the machine that logs.

A sampler, a process of its own, reads a source at 1 to 10 Hz and writes records, one JSON object a line
(`records`). The sources are NVML on this machine (`sampler`), and Prometheus text on another: that of
`harness gpu --serve` there, or of dcgm-exporter (`remote`). `counters` is the table of what is read,
`reads` of how NVML is asked for it, `dcgm` of dcgm-exporter's names. `source` starts a sampler beside a
run, `keep` stores its log, `figures` says what it means. Only `nvml` imports NVML's module.
"""
