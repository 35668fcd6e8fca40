-- A queue whose order is fixed when a task comes in: a point of priority is worth 36 s of waiting, so that 100 points
-- are one hour, and whatever waits long enough comes first.
ALTER TABLE tasks
    ADD COLUMN rank        timestamptz,
    ADD COLUMN started_at  timestamptz,
    ADD COLUMN crashes     int NOT NULL DEFAULT 0,
    ADD COLUMN group_id    text NOT NULL DEFAULT '',
    ADD COLUMN schedule_id text NOT NULL DEFAULT '';
UPDATE tasks SET rank = created_at - priority * interval '36 seconds';
ALTER TABLE tasks ALTER COLUMN rank SET NOT NULL;
ALTER TABLE tasks DROP CONSTRAINT tasks_state_check;
ALTER TABLE tasks ADD CONSTRAINT tasks_state_check CHECK (state IN (
    'Held', 'Queued', 'Running', 'Waiting', 'Succeeded', 'Failed', 'Cancelled', 'Dead', 'OutcomeUnknown'));
DROP INDEX tasks_claim;
CREATE INDEX tasks_claim ON tasks (tenant, agent, rank, id) WHERE state = 'Queued';
DROP INDEX tasks_open;
CREATE INDEX tasks_open ON tasks (deadline_at) WHERE state IN ('Held', 'Queued', 'Running', 'Waiting');
CREATE INDEX tasks_dead ON tasks (tenant, updated_at DESC, id DESC) WHERE state = 'Dead';
CREATE INDEX tasks_ended ON tasks (updated_at) WHERE state IN ('Succeeded', 'Failed', 'Cancelled', 'Dead');
CREATE INDEX tasks_group ON tasks (tenant, group_id) WHERE group_id <> '';

-- Locked while a lease is given, so that two processes never give the last place twice.
CREATE TABLE slots (
    tenant  text NOT NULL,
    scope   text NOT NULL,
    PRIMARY KEY (tenant, scope)
);

CREATE TABLE schedules (
    tenant      text NOT NULL,
    id          text NOT NULL,
    name        text NOT NULL,
    state       text NOT NULL CHECK (state IN ('Active', 'Paused')),
    cron        text NOT NULL,
    time_zone   text NOT NULL,
    person      text NOT NULL,
    actor       text NOT NULL,
    sealed      bytea NOT NULL,
    next_at     timestamptz NOT NULL,
    last_at     timestamptz,
    last_task   text NOT NULL DEFAULT '',
    last_reason text NOT NULL DEFAULT '',
    created_at  timestamptz NOT NULL,
    version     int NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, name)
);
CREATE INDEX schedules_due ON schedules (next_at) WHERE state = 'Active';

-- Terminal rows leave the hot table; whole months go when their time is over.
CREATE TABLE task_history (LIKE tasks INCLUDING DEFAULTS) PARTITION BY RANGE (updated_at);
CREATE TABLE task_history_rest PARTITION OF task_history DEFAULT;
CREATE INDEX task_history_key ON task_history (tenant, id);
CREATE INDEX task_history_created ON task_history (tenant, created_at DESC, id DESC);
CREATE INDEX task_history_tree ON task_history (tenant, root_task_id);
CREATE INDEX task_history_session ON task_history (tenant, session_id);
CREATE INDEX task_history_trace ON task_history (tenant, trace_id);
CREATE VIEW all_tasks WITH (security_invoker = true) AS SELECT * FROM tasks UNION ALL SELECT * FROM task_history;

CREATE FUNCTION tenant_wall(relation text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', relation);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', relation);
    EXECUTE format('CREATE POLICY tenant_wall ON %I USING (tenant = ANY '
                   '(string_to_array(current_setting(''cadre.tenants'', true), '','')))', relation);
END
$$;

-- The application's role owns nothing: these two do the little DDL that history needs.
CREATE FUNCTION history_month(month date) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
DECLARE
    first date := date_trunc('month', month);
    name  text := 'task_history_' || to_char(month, 'YYYYMM');
BEGIN
    IF to_regclass(name) IS NOT NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE %I PARTITION OF task_history FOR VALUES FROM (%L) TO (%L)', name,
                   first::timestamp AT TIME ZONE 'UTC', (first + interval '1 month')::timestamp AT TIME ZONE 'UTC');
    PERFORM tenant_wall(name);
    RETURN true;
EXCEPTION WHEN duplicate_table OR check_violation THEN
    RETURN false;
END
$$;
CREATE FUNCTION history_forget(before date) RETURNS int LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
DECLARE
    name    text;
    dropped int := 0;
BEGIN
    FOR name IN
        SELECT relname FROM pg_class
        WHERE relname ~ '^task_history_\d{6}$' AND relname < 'task_history_' || to_char(before, 'YYYYMM')
    LOOP
        EXECUTE format('DROP TABLE %I', name);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END
$$;

SELECT tenant_wall(relation)
FROM unnest(ARRAY['slots', 'schedules', 'task_history', 'task_history_rest']) AS r(relation);
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cadre_app') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON slots, schedules, task_history, all_tasks TO cadre_app;
    END IF;
END
$$;
