-- The wall between tenants in a form that is no condition of an index. As `tenant = ANY (...)` it was one, with a guess of
-- a twentieth of any table that was not analysed yet: a look at one row by its key then read all rows of the tenant.
-- And it is worked out once for a statement, not for each row.
--
-- Every flush writes to this table first: those under way end before a wall is taken down, and the next ones wait.
LOCK TABLE flushes IN SHARE ROW EXCLUSIVE MODE;

CREATE OR REPLACE FUNCTION tenant_wall(relation text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', relation);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', relation);
    EXECUTE format('CREATE POLICY tenant_wall ON %I USING (array_position((SELECT '
                   'string_to_array(current_setting(''cadre.tenants'', true), '','')), tenant) IS NOT NULL)', relation);
END
$$;

DO $$
DECLARE
    relation text;
BEGIN
    FOR relation IN
        SELECT tablename FROM pg_policies WHERE schemaname = current_schema() AND policyname = 'tenant_wall'
    LOOP
        EXECUTE format('DROP POLICY tenant_wall ON %I', relation);
        PERFORM tenant_wall(relation);
    END LOOP;
END
$$;
