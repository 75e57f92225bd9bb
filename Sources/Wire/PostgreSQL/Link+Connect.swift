// Making a connection: bounded in time, checked for what we rely on, and clear about why it failed.

import CPQ
import SQL

#if canImport(Glibc)
import Glibc
#endif

/// What a connection is for.
enum Role {
    /// Reads: one snapshot a transaction, and no writing.
    case reader
    /// Writes: each statement sees what was committed before it, so that two writers wait for each other instead of failing.
    case writer
    /// Announcements.
    case listener
}

/// Why there is no connection.
struct Refusal: Error {
    let error: SQLError
    /// Trying again cannot help: the password, the database, the certificate.
    let isFinal: Bool
}

extension Link {
    static func connect(_ configuration: PostgreSQLConfiguration, as role: Role) throws(Refusal) -> Link {
        let handle = try begin(configuration)
        do throws(Refusal) {
            // SQLSTATEs are told only in the verbose form.
            PQsetErrorVerbosity(handle, PQERRORS_VERBOSE)
            // libpq writes notices to standard error otherwise.
            PQsetNoticeReceiver(handle, { _, _ in }, nil)
            try establish(handle, configuration)
        } catch {
            PQfinish(handle)
            throw error
        }
        let link = Link(handle, role: role, limits: configuration.limits)
        try link.prepareSession(role, configuration.limits)
        return link
    }

    private static func begin(_ configuration: PostgreSQLConfiguration) throws(Refusal) -> OpaquePointer {
        let keywords = configuration.parameters.map { strdup($0.keyword) }
        let values = configuration.parameters.map { strdup($0.value) }
        defer { for text in keywords + values { free(text) } }
        let handle = (keywords.map { UnsafePointer($0) } + [nil]).withUnsafeBufferPointer { keywords in
            (values.map { UnsafePointer($0) } + [nil]).withUnsafeBufferPointer { values in
                PQconnectStartParams(keywords.baseAddress, values.baseAddress, 0)
            }
        }
        guard let handle else { throw Refusal(error: SQLError(.storage, "out of memory"), isFinal: false) }
        return handle
    }

    /// Follows the hand-shake to its end.
    private static func establish(
        _ handle: OpaquePointer,
        _ configuration: PostgreSQLConfiguration
    ) throws(Refusal) {
        guard PQstatus(handle) != CONNECTION_BAD else { throw refusal(handle) }
        let end = ContinuousClock.now.advanced(by: .seconds(configuration.limits.connectTimeout))
        var wanted = Int16(POLLOUT)
        while true {
            var entry = pollfd(fd: PQsocket(handle), events: wanted, revents: 0)
            let left = ContinuousClock.now.duration(to: end) / .milliseconds(1)
            guard left > 0 else {
                throw Refusal(
                    error: SQLError(
                        .unavailable, "no answer from \(configuration) within \(configuration.limits.connectTimeout) s"),
                    isFinal: false)
            }
            guard poll(&entry, 1, Int32(left.rounded(.up))) > 0 else { continue }
            switch PQconnectPoll(handle) {
            case PGRES_POLLING_READING: wanted = Int16(POLLIN)
            case PGRES_POLLING_WRITING: wanted = Int16(POLLOUT)
            case PGRES_POLLING_OK: return
            default: throw refusal(handle)
            }
        }
    }

    /// States and texts for which a second try would be the same as the first.
    private static let finalStates = ["28P01", "28000", "3D000", "42501"]
    private static let finalTexts = [
        "certificate verify failed", "does not match host name", "server does not support SSL", "root certificate file",
        "could not get server's host name", "no password supplied", "could not load", "invalid sslmode",
        "invalid port number", "does not exist",
    ]

    private static func refusal(_ handle: OpaquePointer) -> Refusal {
        // "connection to server at "db", port 5432 failed: FATAL:  28P01: password authentication failed for user "x"".
        let message = message(handle)
        let state = message.firstMatch(of: #/: +([0-9][0-9A-Z]{4}): /#).map { String($0.1) }
        let isFinal = state.map(finalStates.contains) ?? finalTexts.contains { message.contains($0) }
        return Refusal(error: SQLError(isFinal ? .failure : .unavailable, message), isFinal: isFinal)
    }

    /// Makes the session what the engine relies on, and sees whether it is.
    ///
    /// Writers do without sequential scans: all that they look for has an index, and the plan of a long list of ids that was made
    /// while the table was small would go on reading the whole of it.
    private func prepareSession(_ role: Role, _ limits: PostgreSQLConfiguration.Limits) throws(Refusal) {
        func milliseconds(_ seconds: Double) -> Int { Int(seconds * 1000) }
        let answer: Answer?
        do throws(Failure) {
            answer = try script(
                """
                SET client_min_messages = error;
                SET statement_timeout = \(milliseconds(limits.statementTimeout));
                SET lock_timeout = \(milliseconds(limits.lockTimeout));
                SET idle_in_transaction_session_timeout = \(milliseconds(limits.idleTimeout));
                SET default_transaction_isolation = '\(role == .reader ? "repeatable read" : "read committed")';
                SET enable_seqscan = \(role == .writer ? "off" : "on");
                SET default_transaction_read_only = \(role == .reader ? "on" : "off");
                SELECT set_config('synchronous_commit',
                        CASE current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, false),
                    current_setting('server_encoding'), pg_is_in_recovery(), current_setting('server_version_num')
                """, isPatient: false)
        } catch {
            throw Refusal(error: error.error, isFinal: false)
        }
        guard let answer, ["on", "remote_apply"].contains(answer.text(0)) else {
            throw Refusal(error: SQLError(.failure, "the server does not let us set synchronous_commit"), isFinal: true)
        }
        guard answer.text(1) == "UTF8" else {
            throw Refusal(
                error: SQLError(.failure, "the database's encoding is \(answer.text(1)), and must be UTF8"),
                isFinal: true)
        }
        guard let version = Int(answer.text(3)), version >= 130_000 else {
            throw Refusal(error: SQLError(.failure, "the server is older than PostgreSQL 13"), isFinal: true)
        }
        if role == .writer, answer.text(2) != "f" {
            throw Refusal(
                error: SQLError(.unavailable, "the server is a standby, which takes no writes"), isFinal: false)
        }
    }
}
