-- name: budget_told
UPDATE budgets b SET told = r.verdict
FROM unnest($1::int[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::text[])
    AS r(ord, tenant, node, period_start, known, verdict)
WHERE b.tenant = r.tenant AND b.node = r.node AND b.period_start = r.period_start AND b.told = r.known
RETURNING r.ord;
