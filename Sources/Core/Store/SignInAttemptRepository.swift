// How often somebody tried to sign in lately: counted before the password is looked at, in the database, so that neither
// guesses at the same moment, nor another process, nor a restart get more of them.

import JSON
package import Model
package import SQL

/// Something whose failed attempts are counted, and how many it may have.
package struct SignInLimit: Hashable, Sendable {
    /// `account:ada@example.com`, `address:192.0.2.7`.
    package let subject: String
    package let attempts: Int
    /// Whether it is one account's, and not of an address that many may share.
    package let isOfAccount: Bool

    fileprivate static let signInPrefix = "account:"

    /// Whether it is of failed sign-ins of one account, which the audit log wants to know of.
    fileprivate var isOfSignIn: Bool { subject.hasPrefix(Self.signInPrefix) }

    private init(_ subject: String, _ attempts: Int, isOfAccount: Bool) {
        self.subject = subject
        self.attempts = attempts
        self.isOfAccount = isOfAccount
    }

    /// - Parameters:
    ///   - email: as somebody wrote it; whether anybody has the address makes no difference.
    ///   - purpose: what is tried: kinds of attempts are counted apart.
    package static func account(_ email: String, purpose: String = "account", attempts: Int) -> SignInLimit {
        SignInLimit("\(purpose):\(User.key(of: email))", attempts, isOfAccount: true)
    }

    /// - Parameter address: an IPv6 address counts with its network of 64 bits: whoever has one has all of them.
    package static func address(_ address: String, purpose: String = "address", attempts: Int) -> SignInLimit {
        SignInLimit(
            "\(purpose):\(IPNetwork(address: address)?.household ?? address)", attempts, isOfAccount: false)
    }
}

/// What an attempt that was no failure gives back.
package struct SignInSettlement: Sendable {
    /// Whose failures are forgotten, because they showed who they are.
    package let cleared: SignInLimit?
    /// Who gets this one attempt back, and no more: others behind the same address go on failing.
    package let returned: [SignInLimit]

    package init(cleared: SignInLimit?, returned: [SignInLimit]) {
        self.cleared = cleared
        self.returned = returned
    }
}

/// Attempts whose time was over before anybody wrote down how many they were.
package struct SignInTally: Sendable {
    /// Of the limit, with its kind before the colon.
    package let subject: String
    package let attempts: Int
    package let since: Timestamp
}

package struct SignInAttemptRepository: Sendable {
    /// Where an attempt stands among those of its time.
    package enum Count: Sendable {
        /// It may be made; the numbers of attempts, this one counted, in the order of the limits.
        case admitted([Int])
        /// Not before then.
        case refused(until: Timestamp)
    }

    private let database: any SQLDatabase

    package init(database: any SQLDatabase) { self.database = database }

    /// Counts an attempt against each limit, unless one of them is used up: then it counts against none.
    /// - Parameter window: seconds in which so many attempts are allowed; who used them up waits as long from the last one.
    /// - Parameter tally: makes the entry of attempts of a time before, which nobody wrote down.
    package func count(
        _ limits: [SignInLimit],
        window: Double,
        at now: Timestamp,
        tally: @escaping @Sendable (SignInTally) -> AuditEntry
    ) async throws -> Count {
        try await database.write { connection in
            var tallies: [SignInTally] = []
            var counts: [Int] = []
            var refusedUntil: Timestamp?
            for limit in limits {
                // The row is held from here to the commit: of two attempts at once the second sees the first.
                let row = try connection.attempts(of: limit, at: now)
                if let until = row.lockedUntil, until > now {
                    refusedUntil = max(until, refusedUntil ?? until)
                }
                let isOver = row.lockedUntil != nil || row.windowAt.adding(seconds: window) <= now
                counts.append(isOver ? 1 : row.failures + 1)
                if isOver, limit.isOfSignIn, row.lockedUntil == nil, row.failures > 1 {
                    tallies.append(
                        SignInTally(subject: limit.subject, attempts: row.failures, since: row.windowAt))
                }
            }
            if let refusedUntil { return .refused(until: refusedUntil) }
            for (limit, count) in zip(limits, counts) {
                let lock = count >= limit.attempts ? now.adding(seconds: window).milliseconds : nil
                try connection.send(
                    """
                    UPDATE sign_in_attempts SET failures = \(count), locked_until = \(lock),
                        window_at = CASE WHEN \(count) = 1 THEN \(now.milliseconds) ELSE window_at END
                    WHERE subject = \(limit.subject)
                    """)
            }
            for each in tallies { try connection.record(tally(each), in: nil) }
            return .admitted(counts)
        }
    }

    /// For an attempt that was not made in the end, or was none of guessing.
    package func settle(_ settlement: SignInSettlement) async throws {
        try await database.write { connection in _ = try connection.settle(settlement) }
    }

    /// Writes down a failure that was counted before.
    package func record(_ entry: AuditEntry) async throws {
        try await database.write { connection in try connection.record(entry, in: nil) }
    }

    /// Forgets the failures of an account, whatever was tried there.
    package func unlock(_ id: UserID, audit: @escaping AuditMaker) async throws -> User? {
        try await database.write { connection in
            guard let user = try connection.user(id) else { return nil }
            try connection.unlock(user)
            try connection.record(audit(id.text, nil, .object(user.document)), in: nil)
            return user
        }
    }

    /// Until when an account is locked; `nil`: it is not.
    package func lockedUntil(_ limit: SignInLimit, at now: Timestamp) async throws -> Timestamp? {
        try await database.read { connection in
            try connection.row("SELECT locked_until FROM sign_in_attempts WHERE subject = \(limit.subject)")?
                .optionalInteger(0).map(Timestamp.init(milliseconds:))
        }.flatMap { $0 > now ? $0 : nil }
    }

    /// Deletes counts whose time is over, and writes down those that nobody did.
    /// - Returns: how many went.
    package func delete(
        before time: Timestamp,
        limit: Int,
        tally: @escaping @Sendable (SignInTally) -> AuditEntry
    ) async throws -> Int {
        try await database.write { connection in
            let rows = try connection.rows(
                """
                SELECT subject, failures, window_at, locked_until FROM sign_in_attempts
                WHERE window_at < \(time.milliseconds)
                    AND (locked_until IS NULL OR locked_until < \(time.milliseconds))
                ORDER BY window_at LIMIT \(limit) /* skip locked */
                """)
            for row in rows {
                let (subject, failures) = (try row.text(0), Int(try row.integer(1)))
                if subject.hasPrefix(SignInLimit.signInPrefix), try row.optionalInteger(3) == nil, failures > 1 {
                    let since = Timestamp(milliseconds: try row.integer(2))
                    try connection.record(
                        tally(SignInTally(subject: subject, attempts: failures, since: since)), in: nil)
                }
                try connection.send("DELETE FROM sign_in_attempts WHERE subject = \(subject)")
            }
            return rows.count
        }
    }
}

extension SQLConnection {
    /// The row of a limit, made where there is none, and held.
    fileprivate func attempts(
        of limit: SignInLimit,
        at now: Timestamp
    ) throws(SQLError) -> (failures: Int, windowAt: Timestamp, lockedUntil: Timestamp?) {
        // What is not changed is held all the same.
        let rows = try rows(
            """
            INSERT INTO sign_in_attempts (subject, failures, window_at) VALUES (\(limit.subject), 0, \(now.milliseconds))
            ON CONFLICT (subject) DO UPDATE SET failures = sign_in_attempts.failures
            RETURNING failures, window_at, locked_until
            """)
        guard let row = rows.first else { throw SQLError(.failure, "a count of attempts cannot be read") }
        return (
            Int(try row.integer(0)), Timestamp(milliseconds: try row.integer(1)),
            try row.optionalInteger(2).map(Timestamp.init(milliseconds:))
        )
    }

    /// - Returns: the failures that were cleared.
    func settle(_ settlement: SignInSettlement) throws(SQLError) -> Int {
        var cleared = 0
        if let limit = settlement.cleared {
            let row = try row("SELECT failures FROM sign_in_attempts WHERE subject = \(limit.subject) /* lock */")
            cleared = max(Int(try row?.integer(0) ?? 0) - 1, 0)
            try forget(limit)
        }
        for limit in settlement.returned {
            try send(
                """
                UPDATE sign_in_attempts SET failures = failures - 1,
                    locked_until = CASE WHEN failures - 1 >= \(limit.attempts) THEN locked_until ELSE NULL END
                WHERE subject = \(limit.subject) AND failures > 0
                """)
        }
        return cleared
    }

    func unlock(_ user: User) throws(SQLError) {
        for purpose in ["account", "reset"] {
            try forget(.account(user.email, purpose: purpose, attempts: 0))
        }
    }

    private func forget(_ limit: SignInLimit) throws(SQLError) {
        try send("UPDATE sign_in_attempts SET failures = 0, locked_until = NULL WHERE subject = \(limit.subject)")
    }
}

extension IPNetwork {
    /// What one customer of a provider has: an IPv4 address, or a network of 64 bits of IPv6.
    fileprivate var household: String {
        guard description.contains(":") else { return description }
        // RFC 5952 leaves out one run of zeros.
        let halves = description.split(separator: "::", maxSplits: 1, omittingEmptySubsequences: false)
            .map { $0.split(separator: ":") }
        let present = halves.reduce(0) { $0 + $1.count }
        let zeros = Array(repeating: Substring("0"), count: max(8 - present, 0))
        let all = halves[0] + zeros + (halves.count > 1 ? halves[1] : [])
        return all.prefix(4).joined(separator: ":") + "::/64"
    }
}
