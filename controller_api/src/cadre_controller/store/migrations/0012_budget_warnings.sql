-- The gravest verdict of the period that the heads of the node have been told.
ALTER TABLE budgets ADD COLUMN told text NOT NULL DEFAULT '';
