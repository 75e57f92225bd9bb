// The schema, as numbered steps that are only ever added to. Written in what SQLite and PostgreSQL both take.

package import SQL

package struct Migration: Sendable {
    package let number: Int
    package let name: String
    let script: String
    /// What no script can say, in the same transaction.
    var complete: (@Sendable (any SQLConnection) throws -> Void)?
}

package enum Migrations {
    package static let all: [Migration] = [
        Migration(number: 1, name: "vaults, callers, settings", script: vaultsAndCallers),
        Migration(number: 2, name: "messages, events, outbox", script: messages),
        Migration(number: 3, name: "results, failures, several processes, alerts", script: results),
        Migration(number: 4, name: "narrower callers, rates, audit", script: ratesAndAudit),
        Migration(
            number: 5, name: "people, plans, audit chain, alert rules", script: people, complete: AuditChain.adopt),
    ]

    private static let vaultsAndCallers = """
        CREATE TABLE vaults (
            id TEXT PRIMARY KEY,
            slug TEXT NOT NULL UNIQUE CHECK (length(slug) BETWEEN 1 AND 63),
            name TEXT NOT NULL,
            data_key BYTEA NOT NULL,
            created_at BIGINT NOT NULL
        );
        CREATE TABLE processes (
            number INTEGER PRIMARY KEY CHECK (number BETWEEN 0 AND 1023),
            owner TEXT NOT NULL,
            lease_until BIGINT NOT NULL
        );
        CREATE TABLE smtp_relay_api_keys (
            id TEXT PRIMARY KEY,
            vault_id TEXT NOT NULL REFERENCES vaults (id),
            prefix TEXT NOT NULL UNIQUE,
            digest BYTEA NOT NULL,
            label TEXT NOT NULL,
            kind TEXT NOT NULL CHECK (kind IN ('tool', 'agent')),
            scopes TEXT NOT NULL,
            read_only INTEGER NOT NULL CHECK (read_only IN (0, 1)),
            sender_domains TEXT,
            created_at BIGINT NOT NULL,
            expires_at BIGINT,
            revoked_at BIGINT,
            last_used_at BIGINT
        );
        CREATE INDEX smtp_relay_api_keys_vault ON smtp_relay_api_keys (vault_id, id);
        CREATE TABLE smtp_relay_users (
            id TEXT PRIMARY KEY,
            vault_id TEXT NOT NULL REFERENCES vaults (id),
            username TEXT NOT NULL UNIQUE,
            label TEXT NOT NULL,
            password_hash TEXT NOT NULL,
            created_at BIGINT NOT NULL,
            last_used_at BIGINT
        );
        CREATE INDEX smtp_relay_users_vault ON smtp_relay_users (vault_id, id);
        CREATE TABLE mailerq_ip_pools (
            id TEXT PRIMARY KEY,
            vault_id TEXT NOT NULL REFERENCES vaults (id),
            domain TEXT NOT NULL,
            pool TEXT NOT NULL,
            ips TEXT NOT NULL,
            created_at BIGINT NOT NULL,
            updated_at BIGINT NOT NULL,
            UNIQUE (vault_id, domain)
        );
        CREATE TABLE vault_settings (
            vault_id TEXT NOT NULL REFERENCES vaults (id),
            key TEXT NOT NULL,
            value TEXT NOT NULL,
            updated_at BIGINT NOT NULL,
            PRIMARY KEY (vault_id, key)
        );
        CREATE TABLE vault_secrets (
            vault_id TEXT NOT NULL REFERENCES vaults (id),
            name TEXT NOT NULL,
            sealed BYTEA NOT NULL,
            updated_at BIGINT NOT NULL,
            PRIMARY KEY (vault_id, name)
        );
        """

    private static let messages = """
        CREATE TABLE payloads (
            id TEXT PRIMARY KEY,
            vault_id TEXT NOT NULL REFERENCES vaults (id),
            format TEXT NOT NULL CHECK (format IN ('envelope', 'mime')),
            bytes BYTEA NOT NULL,
            created_at BIGINT NOT NULL
        );
        CREATE TABLE smtp_relay_logs (
            id TEXT PRIMARY KEY,
            vault_id TEXT NOT NULL REFERENCES vaults (id),
            correlation_id TEXT NOT NULL,
            caller_id TEXT NOT NULL,
            caller_label TEXT NOT NULL,
            door TEXT NOT NULL,
            sender TEXT NOT NULL,
            recipient TEXT NOT NULL,
            subject TEXT,
            status TEXT NOT NULL CHECK (status IN ('scheduled', 'queued', 'in_flight', 'delivered', 'bounced',
                'failed', 'expired', 'captured', 'cancelled')),
            route TEXT NOT NULL,
            priority INTEGER NOT NULL,
            tags TEXT,
            size INTEGER NOT NULL,
            attempts INTEGER NOT NULL,
            last_reply TEXT,
            send_at BIGINT,
            deadline_at BIGINT NOT NULL,
            created_at BIGINT NOT NULL,
            updated_at BIGINT NOT NULL,
            payload_id TEXT NOT NULL REFERENCES payloads (id),
            metadata TEXT,
            envelope TEXT
        );
        CREATE INDEX smtp_relay_logs_vault ON smtp_relay_logs (vault_id, id);
        CREATE INDEX smtp_relay_logs_caller ON smtp_relay_logs (vault_id, caller_label, id);
        CREATE INDEX smtp_relay_logs_status ON smtp_relay_logs (vault_id, status, id);
        CREATE INDEX smtp_relay_logs_recipient ON smtp_relay_logs (vault_id, recipient, id);
        CREATE INDEX smtp_relay_logs_correlation ON smtp_relay_logs (vault_id, correlation_id, id);
        CREATE INDEX smtp_relay_logs_open ON smtp_relay_logs (deadline_at)
            WHERE status IN ('scheduled', 'queued', 'in_flight');
        CREATE TABLE message_events (
            message_id TEXT NOT NULL REFERENCES smtp_relay_logs (id),
            id TEXT NOT NULL,
            vault_id TEXT NOT NULL,
            type TEXT NOT NULL,
            at BIGINT NOT NULL,
            attempt INTEGER NOT NULL,
            route TEXT,
            detail TEXT,
            PRIMARY KEY (message_id, id)
        );
        CREATE TABLE outbox (
            message_id TEXT PRIMARY KEY REFERENCES smtp_relay_logs (id),
            vault_id TEXT NOT NULL,
            priority INTEGER NOT NULL,
            ready INTEGER NOT NULL CHECK (ready IN (0, 1)),
            due_at BIGINT NOT NULL,
            lease_owner TEXT
        );
        CREATE INDEX outbox_ready ON outbox (vault_id, priority DESC, due_at) WHERE ready = 1;
        CREATE INDEX outbox_waiting ON outbox (due_at) WHERE ready = 0;
        CREATE TABLE idempotency_keys (
            caller_id TEXT NOT NULL,
            key TEXT NOT NULL,
            digest BYTEA NOT NULL,
            answer TEXT NOT NULL,
            expires_at BIGINT NOT NULL,
            PRIMARY KEY (caller_id, key)
        );
        CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at);
        """
}

extension Migrations {
    /// `origin` names the report that an event came from, so that a report that comes twice is one event.
    fileprivate static let results = """
        ALTER TABLE message_events ADD COLUMN origin TEXT;
        CREATE UNIQUE INDEX message_events_origin ON message_events (message_id, origin) WHERE origin IS NOT NULL;
        ALTER TABLE outbox ADD COLUMN route TEXT NOT NULL DEFAULT '';
        UPDATE outbox SET route = (SELECT route FROM smtp_relay_logs WHERE smtp_relay_logs.id = outbox.message_id);
        DROP INDEX outbox_ready;
        CREATE INDEX outbox_ready ON outbox (vault_id, route, priority DESC, due_at) WHERE ready = 1;
        CREATE TABLE failures (
            message_id TEXT PRIMARY KEY REFERENCES smtp_relay_logs (id),
            vault_id TEXT NOT NULL,
            code INTEGER,
            enhanced_code TEXT,
            domain TEXT NOT NULL,
            route TEXT NOT NULL,
            reason TEXT,
            failed_at BIGINT NOT NULL
        );
        CREATE INDEX failures_vault ON failures (vault_id, failed_at);
        CREATE TABLE orphan_results (
            id TEXT PRIMARY KEY,
            queue TEXT NOT NULL,
            reason TEXT NOT NULL,
            reference TEXT,
            recipient_domain TEXT,
            code INTEGER,
            body BYTEA,
            received_at BIGINT NOT NULL
        );
        CREATE TABLE alerts (
            id TEXT PRIMARY KEY,
            vault_id TEXT REFERENCES vaults (id),
            kind TEXT NOT NULL,
            subject TEXT NOT NULL,
            detail TEXT NOT NULL,
            began_at BIGINT NOT NULL,
            opened_at BIGINT NOT NULL,
            closed_at BIGINT,
            open_notified_at BIGINT,
            close_notified_at BIGINT
        );
        CREATE UNIQUE INDEX alerts_open ON alerts (kind, subject) WHERE closed_at IS NULL;
        CREATE INDEX alerts_vault ON alerts (vault_id, id);
        CREATE INDEX alerts_closed ON alerts (closed_at) WHERE closed_at IS NOT NULL;
        CREATE TABLE change_counters (
            topic TEXT PRIMARY KEY,
            value BIGINT NOT NULL
        );
        CREATE TABLE duties (
            name TEXT PRIMARY KEY,
            owner TEXT NOT NULL,
            lease_until BIGINT NOT NULL
        );
        """
}

extension Migrations {
    /// Vaults that were there before a setting was needed keep the behaviour that they had.
    fileprivate static let ratesAndAudit = """
        ALTER TABLE smtp_relay_api_keys ADD COLUMN parent_id TEXT;
        ALTER TABLE smtp_relay_api_keys ADD COLUMN agent_id TEXT;
        ALTER TABLE smtp_relay_api_keys ADD COLUMN label_prefix TEXT;
        ALTER TABLE smtp_relay_api_keys ADD COLUMN allowed_ips TEXT;
        ALTER TABLE smtp_relay_api_keys ADD COLUMN rate_limits TEXT;
        ALTER TABLE smtp_relay_api_keys ADD COLUMN ip_pool TEXT;
        ALTER TABLE smtp_relay_api_keys ADD COLUMN temporary INTEGER NOT NULL DEFAULT 0 CHECK (temporary IN (0, 1));
        UPDATE smtp_relay_api_keys SET agent_id = id WHERE kind = 'agent';
        CREATE TABLE retiring_key_texts (
            prefix TEXT PRIMARY KEY,
            key_id TEXT NOT NULL REFERENCES smtp_relay_api_keys (id),
            digest BYTEA NOT NULL,
            ends_at BIGINT NOT NULL
        );
        CREATE INDEX retiring_key_texts_key ON retiring_key_texts (key_id);
        ALTER TABLE smtp_relay_users ADD COLUMN allowed_ips TEXT;
        ALTER TABLE smtp_relay_users ADD COLUMN sender_domains TEXT;
        ALTER TABLE smtp_relay_users ADD COLUMN ip_pool TEXT;
        CREATE TABLE rate_buckets (
            vault_id TEXT NOT NULL REFERENCES vaults (id),
            bucket TEXT NOT NULL,
            level BIGINT NOT NULL,
            per_hour BIGINT NOT NULL,
            burst BIGINT NOT NULL,
            updated_at BIGINT NOT NULL,
            PRIMARY KEY (vault_id, bucket)
        );
        CREATE INDEX rate_buckets_updated ON rate_buckets (updated_at);
        CREATE TABLE runaway_cuts (
            vault_id TEXT NOT NULL REFERENCES vaults (id),
            caller_id TEXT NOT NULL,
            caller_label TEXT NOT NULL,
            reason TEXT NOT NULL,
            cuts BIGINT NOT NULL,
            detail TEXT NOT NULL,
            first_at BIGINT NOT NULL,
            last_at BIGINT NOT NULL,
            PRIMARY KEY (vault_id, caller_id, reason)
        );
        CREATE INDEX runaway_cuts_last ON runaway_cuts (last_at);
        CREATE TABLE audit_records (
            id TEXT PRIMARY KEY,
            vault_id TEXT REFERENCES vaults (id),
            at BIGINT NOT NULL,
            actor_id TEXT NOT NULL,
            actor_label TEXT NOT NULL,
            door TEXT NOT NULL,
            address TEXT,
            request_id TEXT,
            action TEXT NOT NULL,
            resource TEXT NOT NULL,
            before_value TEXT,
            after_value TEXT
        );
        CREATE INDEX audit_records_vault ON audit_records (vault_id, id);
        CREATE INDEX smtp_relay_logs_payload ON smtp_relay_logs (payload_id);
        CREATE INDEX smtp_relay_logs_ended ON smtp_relay_logs (vault_id, updated_at)
            WHERE status NOT IN ('scheduled', 'queued', 'in_flight');
        INSERT INTO vault_settings (vault_id, key, value, updated_at)
            SELECT id, 'default_envelope_strategy', '"from"', created_at FROM vaults;
        INSERT INTO vault_settings (vault_id, key, value, updated_at)
            SELECT id, 'ip_pool_missing', '"default"', created_at FROM vaults;
        INSERT INTO vault_settings (vault_id, key, value, updated_at)
            SELECT id, 'agent_send_requires_approval', 'false', created_at FROM vaults;
        """
}

package struct Migrator: Sendable {
    private let database: any SQLDatabase

    package init(database: any SQLDatabase) { self.database = database }

    /// Numbers of the migrations that the database has not seen yet.
    /// - Throws: `SQLError`, also when the database is newer than this program.
    package func pending() async throws -> [Migration] {
        let done = try await applied()
        return Migrations.all.filter { !done.contains($0.number) }
    }

    /// Brings the schema up to date, each step in a transaction of its own.
    /// - Returns: the steps that were taken.
    @discardableResult
    package func migrate(through last: Int = .max) async throws -> [Migration] {
        // Where nothing is due nothing is written, so that a role that may not make tables can start.
        guard try await pending().contains(where: { $0.number <= last }) else { return [] }
        try await database.write { connection in try connection.script(Self.ledger) }
        var taken: [Migration] = []
        for step in try await pending() where step.number <= last {
            let isOurs = try await database.write { connection in
                // A script waits for another process's; what that one did in the meantime is seen only after it.
                try connection.script(Self.ledger)
                let done = try connection.row("SELECT 1 FROM schema_migrations WHERE number = \(step.number)")
                guard done == nil else { return false }
                try connection.script(step.script)
                try step.complete?(connection)
                try connection.execute(
                    "INSERT INTO schema_migrations (number, name) VALUES (\(step.number), \(step.name))")
                return true
            }
            if isOurs { taken.append(step) }
        }
        return taken
    }

    private static let ledger =
        "CREATE TABLE IF NOT EXISTS schema_migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL)"

    private func applied() async throws -> Set<Int> {
        let numbers = try await database.read { connection in
            // Asking the schema first keeps `check` from having to write.
            guard try connection.hasTable("schema_migrations") else { return [Int]() }
            try UnfinishedMove.refuse(connection)
            return try connection.rows("SELECT number FROM schema_migrations").map { Int(try $0.integer(0)) }
        }
        if let unknown = numbers.max(), unknown > Migrations.all.count {
            throw SQLError(
                .failure,
                "the database has schema \(unknown), this program knows \(Migrations.all.count): use a newer postern")
        }
        return Set(numbers)
    }
}
