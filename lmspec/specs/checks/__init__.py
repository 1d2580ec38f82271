"""checks: what must hold among the fields of one part of params.yaml: functions of plain values, one file per noun."""
