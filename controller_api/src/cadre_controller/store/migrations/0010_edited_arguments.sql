-- What an approver wrote in place of the arguments that were asked for, masked, and the hash of it as delivered.
ALTER TABLE approvals
    ADD COLUMN edited       jsonb,
    ADD COLUMN edited_hash  text NOT NULL DEFAULT '';
