-- Several guards of one agent work side by side: each is a replica, and a new instance replaces only its own.
-- A desktop has one guard per agent; its replica has the empty name.
ALTER TABLE instances ADD COLUMN replica text NOT NULL DEFAULT '';
ALTER TABLE agents_live ADD COLUMN replica text NOT NULL DEFAULT '';
ALTER TABLE agents_live DROP CONSTRAINT agents_live_pkey;
ALTER TABLE agents_live ADD PRIMARY KEY (tenant, agent, replica);
