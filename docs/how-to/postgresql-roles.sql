-- Roles for a log in PostgreSQL: who writes, reads, investigates, audits and erases.
--
-- Run as the owner of the schema, in the database and schema of the log, after the log was first
-- opened; run again after each upgrade, since new tables come without rights. Then grant a role to
-- the account that needs it. The owner itself only upgrades: an owner can drop triggers.

BEGIN;

REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC;

-- Reads what was recorded, without what is personal.
GRANT USAGE ON SCHEMA public TO genguard_reader;
GRANT SELECT ON
    alembic_version, audit_leaf, audit_head, audit_tile, mark_id, manifest_store, manifest_entry,
    soft_binding, picture_fingerprint, picture_blocks, own_list_change,
    bank_change
    TO genguard_reader;

-- Verifies all of it: keys and counters too, which tell who asked how often.
GRANT genguard_reader TO genguard_auditor;
GRANT SELECT ON idempotency_key, outbox_message, subject_block TO genguard_auditor;

-- What genguard runs as. It adds; it changes only what is not part of the log: how far a message
-- got, which manifest is withdrawn. It removes settled messages and counters.
GRANT USAGE ON SCHEMA public TO genguard_writer;
GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO genguard_writer;
REVOKE INSERT ON alembic_version FROM genguard_writer;
GRANT UPDATE ON audit_head, outbox_message, manifest_entry, soft_binding TO genguard_writer;
GRANT DELETE ON outbox_message, subject_block TO genguard_writer;

-- Reveals what is personal. To do so it must write who did and why, so it writes, too. The keys are
-- in the vault's own database: without an account there this role sees ciphertext.
GRANT genguard_writer TO genguard_investigator;

-- Erases: the only one that removes ciphertext, salts and keys. Leaves stay.
GRANT genguard_writer TO genguard_eraser;
GRANT UPDATE, DELETE ON
    vault_subject, vault_key, vault_entry, vault_erasure, vault_doomed, commitment_salt
    TO genguard_eraser;

-- Said again for those who were granted more by hand: nobody changes what was written.
REVOKE UPDATE, DELETE, TRUNCATE ON
    audit_leaf, audit_tile, mark_id, picture_blocks, own_list_change, manifest_store, bank_change
    FROM PUBLIC, genguard_reader, genguard_auditor, genguard_writer, genguard_investigator,
    genguard_eraser;
REVOKE DELETE, TRUNCATE ON audit_head
    FROM PUBLIC, genguard_reader, genguard_auditor, genguard_writer, genguard_investigator,
    genguard_eraser;

COMMIT;
