"""Pure: which namespaces form a tenant, what of its chart is in force, what is wrong with the rest."""
