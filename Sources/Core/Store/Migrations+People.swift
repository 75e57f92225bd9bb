// Step 5 of the schema: people, plans, the chain of the audit log, rules of alerts.

extension Migrations {
    /// An audit record belongs to a chain: a vault's id, or `instance`. The rule of an alert is empty where it is a shipped one.
    static let people = """
        ALTER TABLE vaults ADD COLUMN plan TEXT NOT NULL DEFAULT 'self_hosted';
        ALTER TABLE vaults ADD COLUMN state TEXT NOT NULL DEFAULT 'active'
            CHECK (state IN ('active', 'suspended', 'archived', 'deleted'));
        ALTER TABLE vaults ADD COLUMN state_reason TEXT;
        ALTER TABLE vaults ADD COLUMN limits TEXT;
        ALTER TABLE vaults ADD COLUMN updated_at BIGINT NOT NULL DEFAULT 0;
        UPDATE vaults SET updated_at = created_at;
        CREATE TABLE plans (
            name TEXT PRIMARY KEY,
            definition TEXT NOT NULL,
            updated_at BIGINT NOT NULL
        );
        CREATE TABLE vault_usage (
            vault_id TEXT NOT NULL REFERENCES vaults (id),
            metric TEXT NOT NULL,
            period TEXT NOT NULL,
            value BIGINT NOT NULL,
            updated_at BIGINT NOT NULL,
            PRIMARY KEY (vault_id, metric, period)
        );
        CREATE TABLE instance_keys (
            name TEXT PRIMARY KEY,
            wrapped BYTEA NOT NULL,
            created_at BIGINT NOT NULL
        );
        CREATE TABLE users (
            id TEXT PRIMARY KEY,
            email TEXT NOT NULL,
            email_key TEXT NOT NULL UNIQUE,
            name TEXT NOT NULL,
            role TEXT NOT NULL CHECK (role IN ('viewer', 'member', 'admin', 'owner')),
            is_active INTEGER NOT NULL CHECK (is_active IN (0, 1)),
            password_hash TEXT,
            password_changed_at BIGINT,
            totp_secret BYTEA,
            totp_candidate BYTEA,
            totp_step BIGINT,
            totp_since BIGINT,
            created_at BIGINT NOT NULL,
            updated_at BIGINT NOT NULL,
            last_sign_in_at BIGINT
        );
        CREATE TABLE recovery_codes (
            user_id TEXT NOT NULL REFERENCES users (id),
            digest BYTEA NOT NULL,
            used_at BIGINT,
            PRIMARY KEY (user_id, digest)
        );
        CREATE TABLE user_identities (
            issuer TEXT NOT NULL,
            subject TEXT NOT NULL,
            user_id TEXT NOT NULL REFERENCES users (id),
            created_at BIGINT NOT NULL,
            last_used_at BIGINT,
            PRIMARY KEY (issuer, subject)
        );
        CREATE INDEX user_identities_user ON user_identities (user_id);
        CREATE TABLE memberships (
            vault_id TEXT NOT NULL REFERENCES vaults (id),
            user_id TEXT NOT NULL REFERENCES users (id),
            role TEXT NOT NULL CHECK (role IN ('viewer', 'operator', 'owner')),
            source TEXT NOT NULL CHECK (source IN ('people', 'groups')),
            created_at BIGINT NOT NULL,
            updated_at BIGINT NOT NULL,
            PRIMARY KEY (vault_id, user_id)
        );
        CREATE INDEX memberships_user ON memberships (user_id, vault_id);
        CREATE TABLE sessions (
            id TEXT PRIMARY KEY,
            user_id TEXT NOT NULL REFERENCES users (id),
            digest BYTEA NOT NULL UNIQUE,
            method TEXT NOT NULL CHECK (method IN ('password', 'second_factor', 'openid')),
            created_at BIGINT NOT NULL,
            authenticated_at BIGINT NOT NULL,
            last_used_at BIGINT NOT NULL,
            expires_at BIGINT NOT NULL,
            ended_at BIGINT,
            end_reason TEXT,
            address TEXT,
            user_agent TEXT
        );
        CREATE INDEX sessions_user ON sessions (user_id, id);
        CREATE INDEX sessions_expiry ON sessions (expires_at);
        CREATE TABLE refresh_tokens (
            digest BYTEA PRIMARY KEY,
            session_id TEXT NOT NULL REFERENCES sessions (id),
            created_at BIGINT NOT NULL,
            expires_at BIGINT NOT NULL,
            used_at BIGINT
        );
        CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id);
        CREATE TABLE one_time_tokens (
            digest BYTEA PRIMARY KEY,
            purpose TEXT NOT NULL,
            user_id TEXT REFERENCES users (id),
            detail TEXT,
            created_at BIGINT NOT NULL,
            expires_at BIGINT NOT NULL,
            used_at BIGINT
        );
        CREATE INDEX one_time_tokens_user ON one_time_tokens (user_id);
        CREATE INDEX one_time_tokens_expiry ON one_time_tokens (expires_at);
        CREATE TABLE invitations (
            id TEXT PRIMARY KEY,
            digest BYTEA NOT NULL UNIQUE,
            email TEXT NOT NULL,
            email_key TEXT NOT NULL,
            role TEXT NOT NULL CHECK (role IN ('viewer', 'member', 'admin', 'owner')),
            grants TEXT NOT NULL,
            invited_by TEXT NOT NULL,
            vault_id TEXT REFERENCES vaults (id),
            created_at BIGINT NOT NULL,
            expires_at BIGINT NOT NULL,
            accepted_at BIGINT,
            accepted_by TEXT,
            revoked_at BIGINT
        );
        CREATE INDEX invitations_email ON invitations (email_key, id);
        CREATE TABLE barred_people (
            digest BYTEA PRIMARY KEY,
            person BYTEA NOT NULL,
            created_at BIGINT NOT NULL
        );
        CREATE INDEX barred_people_person ON barred_people (person);
        CREATE TABLE sign_in_attempts (
            subject TEXT PRIMARY KEY,
            failures BIGINT NOT NULL,
            window_at BIGINT NOT NULL,
            locked_until BIGINT
        );
        CREATE INDEX sign_in_attempts_window ON sign_in_attempts (window_at);
        ALTER TABLE audit_records ADD COLUMN chain TEXT NOT NULL DEFAULT 'instance';
        ALTER TABLE audit_records ADD COLUMN sequence BIGINT;
        ALTER TABLE audit_records ADD COLUMN digest BYTEA;
        ALTER TABLE audit_records ADD COLUMN outcome TEXT NOT NULL DEFAULT 'done';
        ALTER TABLE audit_records ADD COLUMN reason TEXT;
        UPDATE audit_records SET chain = vault_id WHERE vault_id IS NOT NULL;
        DROP INDEX audit_records_vault;
        CREATE UNIQUE INDEX audit_records_chain ON audit_records (chain, sequence);
        CREATE INDEX audit_records_id ON audit_records (chain, id);
        CREATE INDEX audit_records_actor ON audit_records (chain, actor_id, id);
        CREATE INDEX audit_records_label ON audit_records (chain, actor_label, id);
        CREATE INDEX audit_records_action ON audit_records (chain, action, id);
        CREATE INDEX audit_records_resource ON audit_records (chain, resource, id);
        CREATE INDEX audit_records_outcome ON audit_records (chain, outcome, id);
        CREATE TABLE audit_heads (
            chain TEXT PRIMARY KEY,
            sequence BIGINT NOT NULL,
            digest BYTEA NOT NULL
        );
        CREATE TABLE audit_seals (
            chain TEXT NOT NULL,
            sequence BIGINT NOT NULL,
            kind TEXT NOT NULL CHECK (kind IN ('head', 'floor')),
            digest BYTEA NOT NULL,
            at BIGINT NOT NULL,
            seal BYTEA NOT NULL,
            PRIMARY KEY (chain, kind, sequence)
        );
        ALTER TABLE alerts ADD COLUMN severity TEXT NOT NULL DEFAULT 'critical'
            CHECK (severity IN ('info', 'warning', 'critical'));
        ALTER TABLE alerts ADD COLUMN rule_id TEXT NOT NULL DEFAULT '';
        ALTER TABLE alerts ADD COLUMN audience TEXT NOT NULL DEFAULT 'instance'
            CHECK (audience IN ('instance', 'vault'));
        ALTER TABLE alerts ADD COLUMN acknowledged_at BIGINT;
        ALTER TABLE alerts ADD COLUMN acknowledged_by TEXT;
        ALTER TABLE alerts ADD COLUMN resolved_by TEXT;
        ALTER TABLE alerts ADD COLUMN note TEXT;
        ALTER TABLE alerts ADD COLUMN times BIGINT NOT NULL DEFAULT 1;
        ALTER TABLE alerts ADD COLUMN told_times BIGINT NOT NULL DEFAULT 1;
        ALTER TABLE alerts ADD COLUMN quiet_until BIGINT;
        DROP INDEX alerts_open;
        CREATE UNIQUE INDEX alerts_open ON alerts (kind, subject, rule_id) WHERE closed_at IS NULL;
        CREATE INDEX alerts_audience ON alerts (audience, id);
        CREATE TABLE alert_rules (
            id TEXT PRIMARY KEY,
            vault_id TEXT REFERENCES vaults (id),
            condition TEXT NOT NULL,
            definition TEXT NOT NULL,
            is_enabled INTEGER NOT NULL CHECK (is_enabled IN (0, 1)),
            created_at BIGINT NOT NULL,
            updated_at BIGINT NOT NULL
        );
        CREATE INDEX alert_rules_vault ON alert_rules (vault_id, id);
        """
}
