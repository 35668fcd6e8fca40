ALTER TABLE approvals DROP CONSTRAINT approvals_kind_check;
ALTER TABLE approvals ADD CONSTRAINT approvals_kind_check CHECK (kind IN (
    'ToolCall', 'Step', 'OutcomeUnknown', 'RouteTask', 'UseModel'));
ALTER TABLE approvals
    ADD COLUMN remind_at    timestamptz,
    ADD COLUMN reminders    int NOT NULL DEFAULT 0,
    ADD COLUMN replaced_by  text NOT NULL DEFAULT '',
    ADD COLUMN permit       text NOT NULL DEFAULT '';
CREATE INDEX approvals_remind ON approvals (remind_at) WHERE state = 'Pending';

-- "Always allow", bounded: so many calls of one tool by one agent (or in one session), until then.
CREATE TABLE permits (
    tenant      text NOT NULL,
    id          text NOT NULL,
    approval_id text NOT NULL,
    person      text NOT NULL,
    agent       text NOT NULL,
    session_id  text NOT NULL DEFAULT '',
    tool        text NOT NULL,
    rules       text[] NOT NULL,
    uses_left   int NOT NULL CHECK (uses_left >= 0),
    expires_at  timestamptz NOT NULL,
    created_at  timestamptz NOT NULL,
    revoked_at  timestamptz,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX permits_open ON permits (tenant, agent, tool) WHERE uses_left > 0 AND revoked_at IS NULL;

-- A link names one approval and one approver; its secret is kept as a hash, and is used once.
CREATE TABLE approval_links (
    tenant       text NOT NULL,
    hash         text NOT NULL,
    approval_id  text NOT NULL,
    person       text NOT NULL,
    expires_at   timestamptz NOT NULL,
    used_at      timestamptz,
    PRIMARY KEY (tenant, hash)
);

-- What is to be told outside, until it was; at-least-once, in no order.
CREATE TABLE notifications (
    tenant      text NOT NULL,
    id          text NOT NULL,
    kind        text NOT NULL,
    target      text NOT NULL,
    body        jsonb NOT NULL,
    attempts    int NOT NULL DEFAULT 0,
    due_at      timestamptz NOT NULL,
    created_at  timestamptz NOT NULL,
    sent_at     timestamptz,
    failed_at   timestamptz,
    last_error  text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant, id)
);
CREATE INDEX notifications_due ON notifications (due_at) WHERE sent_at IS NULL AND failed_at IS NULL;

SELECT tenant_wall(relation) FROM unnest(ARRAY['permits', 'approval_links', 'notifications']) AS r(relation);
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cadre_app') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON permits, approval_links, notifications TO cadre_app;
    END IF;
END
$$;
