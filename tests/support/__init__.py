"""What tests share: the one place that a test module imports from, apart from the project itself and `bench`.

- `messages`, `trajectories`, `score_rows`, `report_rows`, `audit_history` make data; `examples` holds golden messages.
- `broker_run` is a run on a real broker; `*_loop` and `past_run` are its kinds.
- `waiting`, `virtual_time` and `metrics` are how tests wait, skip time and read counters.
- `tiny_model`, `tiny_judge` and `judge_server` stand in for large models: real ones, small.
- `*_contract` and `sandbox` are tests that every implementation inherits; `*_cases` and `verifiers` are their tables.
- `stack_program`, `dummy_service`, `interrupted_spawn` and `loss_app` are programs: they are run by their paths and
  import nothing of this package.
"""
