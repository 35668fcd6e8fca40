-- An approval covers one of a task's equal calls: a second call with the same arguments asks again.
UPDATE approvals SET ordinal = 1 WHERE kind = 'ToolCall' AND ordinal = 0;
DROP INDEX approvals_tool_once;
CREATE UNIQUE INDEX approvals_tool_once ON approvals (tenant, task_id, tool, arguments_hash, ordinal)
    WHERE kind = 'ToolCall';

-- A trace is shown to those who may see one of its tasks.
CREATE INDEX tasks_trace ON tasks (tenant, trace_id);
