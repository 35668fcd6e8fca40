CREATE TABLE messages (
    tenant        text NOT NULL,
    id            text NOT NULL,
    seq           bigint GENERATED ALWAYS AS IDENTITY,
    sender        text NOT NULL,
    receiver      text NOT NULL,
    topic         text NOT NULL DEFAULT '',
    type          text NOT NULL,
    severity      text NOT NULL,
    session_id    text NOT NULL DEFAULT '',
    body          text NOT NULL,
    state         text NOT NULL CHECK (state IN ('Pending', 'Delivered', 'Acked', 'Dead')),
    reason        text NOT NULL DEFAULT '',
    attempts      int NOT NULL DEFAULT 0,
    available_at  timestamptz NOT NULL,
    lease_until   timestamptz,
    carrier       text NOT NULL DEFAULT '',
    expires_at    timestamptz NOT NULL,
    created_at    timestamptz NOT NULL,
    ended_at      timestamptz,
    trace_id      text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant, id)
);
CREATE INDEX messages_open ON messages (tenant, receiver, seq) WHERE state IN ('Pending', 'Delivered');
CREATE INDEX messages_leased ON messages (lease_until) WHERE state = 'Delivered';
CREATE INDEX messages_carrier ON messages (tenant, carrier) WHERE state = 'Delivered' AND carrier <> '';
CREATE INDEX messages_expiry ON messages (expires_at) WHERE state IN ('Pending', 'Delivered');
CREATE INDEX messages_dead ON messages (tenant, seq DESC) WHERE state = 'Dead';
CREATE INDEX messages_ended ON messages (ended_at) WHERE state = 'Acked';
CREATE INDEX messages_inbox ON messages (tenant, receiver, seq DESC);

CREATE TABLE subscriptions (
    tenant      text NOT NULL,
    topic       text NOT NULL,
    receiver    text NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant, topic, receiver)
);

SELECT tenant_wall(relation) FROM unnest(ARRAY['messages', 'subscriptions']) AS r(relation);
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cadre_app') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON messages, subscriptions TO cadre_app;
        GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO cadre_app;
    END IF;
END
$$;
