// How often somebody tried to sign in lately: counted before the password is looked at, in the database, so that neither
// guesses at the same moment, nor another process, nor a restart get more of them.

import JSON
package import Model
package import SQL

/// Something whose failed attempts are counted, and how many it may have.
package struct SignInLimit: Hashable, Sendable {
    /// `account:ada@example.com`, `here:ada@example.com 192.0.2.7`, `address:192.0.2.7`, `again:usr_…`.
    package let subject: String
    package let attempts: Int
    /// Whether it is one account's, and not of an address that many may share.
    package let isOfAccount: Bool

    fileprivate static let againPrefix = "again:"

    /// Whether failures are those of one account, or of somebody who is signed in: the audit log wants to know of them.
    fileprivate static func isTold(_ subject: String) -> Bool {
        subject.hasPrefix("account:") || subject.hasPrefix(againPrefix)
    }

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

    /// Of one account, from one place: a stranger who fails elsewhere does not lock its owner out at home.
    /// - Parameter address: where it is tried; those that come from nowhere known count together.
    package static func account(_ email: String, from address: String?, attempts: Int) -> SignInLimit {
        let place = address.map(household) ?? "unknown"
        return SignInLimit(herePrefix(email) + place, attempts, isOfAccount: true)
    }

    /// Of somebody who is signed in and shows again who they are: those who are not cannot use it up.
    package static func again(_ user: UserID, attempts: Int) -> SignInLimit {
        SignInLimit(againPrefix + user.text, attempts, isOfAccount: true)
    }

    /// - Parameter address: an IPv6 address counts with its network of 64 bits: whoever has one has all of them.
    package static func address(_ address: String, purpose: String = "address", attempts: Int) -> SignInLimit {
        SignInLimit("\(purpose):\(household(address))", attempts, isOfAccount: false)
    }

    /// What the limits of an account at all its places begin with.
    fileprivate static func herePrefix(_ email: String) -> String { "here:\(User.key(of: email)) " }

    private static func household(_ address: String) -> String {
        IPNetwork(address: address)?.household ?? address
    }
}

/// What an attempt that was no failure gives back.
package struct SignInSettlement: Sendable {
    /// Whose failures are forgotten, because they showed who they are.
    package let cleared: [SignInLimit]
    /// Who gets this one attempt back, and no more: others behind the same address go on failing.
    package let returned: [SignInLimit]

    package init(cleared: [SignInLimit]?, returned: [SignInLimit]) {
        self.cleared = cleared ?? []
        self.returned = returned
    }
}

/// Attempts whose time was over before anybody wrote down how many they were.
package struct SignInTally: Sendable {
    /// Of the limit, with its kind before the colon.
    package let subject: String
    package let attempts: Int
    package let since: Timestamp

    /// Who showed again who they are, in vain; `nil`: somebody tried to sign in.
    package var again: String? {
        subject.hasPrefix(SignInLimit.againPrefix)
            ? String(subject.dropFirst(SignInLimit.againPrefix.count)) : nil
    }
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

    /// Counts an attempt against each limit, unless one of them is used up: then it counts against none, and nothing is
    /// written, so that whoever is locked out fills no table and holds up no other writer.
    /// - Parameter limits: always in one order, that of addresses first, so that two attempts never wait for each other.
    /// - Parameter window: seconds in which so many attempts are allowed; who used them up waits as long from the last one.
    /// - Parameter tally: makes the entry of attempts of a time before, which nobody wrote down.
    package func count(
        _ limits: [SignInLimit],
        window: Double,
        at now: Timestamp,
        tally: @escaping @Sendable (SignInTally) -> AuditEntry
    ) async throws -> Count {
        let lockedUntil = try await database.read { connection in
            try limits.compactMap { try connection.lockedUntil($0) }.max()
        }
        if let lockedUntil, lockedUntil > now { return .refused(until: lockedUntil) }
        do {
            return .admitted(
                try await database.write { connection in
                    try connection.count(limits, window: window, at: now, tally: tally)
                })
        } catch let locked as LockedMeanwhile {
            return .refused(until: locked.until)
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
            try connection.lockedUntil(limit)
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
                if SignInLimit.isTold(subject), try row.optionalInteger(3) == nil, failures > 1 {
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

/// Another attempt used a limit up since it was looked at: ends the transaction, so that this one leaves nothing behind.
private struct LockedMeanwhile: Error {
    let until: Timestamp
}

extension SQLConnection {
    fileprivate func lockedUntil(_ limit: SignInLimit) throws(SQLError) -> Timestamp? {
        try row("SELECT locked_until FROM sign_in_attempts WHERE subject = \(limit.subject)")?
            .optionalInteger(0).map(Timestamp.init(milliseconds:))
    }

    /// - Returns: the numbers of attempts, this one counted, in the order of the limits.
    fileprivate func count(
        _ limits: [SignInLimit],
        window: Double,
        at now: Timestamp,
        tally: (SignInTally) -> AuditEntry
    ) throws -> [Int] {
        var tallies: [SignInTally] = []
        var counts: [Int] = []
        for limit in limits {
            // The row is held from here to the commit: of two attempts at once the second sees the first.
            let row = try attempts(of: limit, at: now)
            if let until = row.lockedUntil, until > now { throw LockedMeanwhile(until: until) }
            let isOver = row.lockedUntil != nil || row.windowAt.adding(seconds: window) <= now
            let count = isOver ? 1 : row.failures + 1
            counts.append(count)
            if isOver, SignInLimit.isTold(limit.subject), row.lockedUntil == nil, row.failures > 1 {
                tallies.append(SignInTally(subject: limit.subject, attempts: row.failures, since: row.windowAt))
            }
            let lock = count >= limit.attempts ? now.adding(seconds: window).milliseconds : nil
            try send(
                """
                UPDATE sign_in_attempts SET failures = \(count), locked_until = \(lock),
                    window_at = CASE WHEN \(count) = 1 THEN \(now.milliseconds) ELSE window_at END
                WHERE subject = \(limit.subject)
                """)
        }
        for each in tallies { try record(tally(each), in: nil) }
        return counts
    }

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

    /// In the order in which attempts are counted, so that the two never wait for each other.
    /// - Returns: the failures that were cleared, where they were most.
    func settle(_ settlement: SignInSettlement) throws(SQLError) -> Int {
        for limit in settlement.returned {
            try send(
                """
                UPDATE sign_in_attempts SET failures = failures - 1,
                    locked_until = CASE WHEN failures - 1 >= \(limit.attempts) THEN locked_until ELSE NULL END
                WHERE subject = \(limit.subject) AND failures > 0
                """)
        }
        var cleared = 0
        for limit in settlement.cleared {
            let row = try row("SELECT failures FROM sign_in_attempts WHERE subject = \(limit.subject) /* lock */")
            cleared = max(Int(try row?.integer(0) ?? 0) - 1, cleared)
            try forget(limit)
        }
        return cleared
    }

    /// Forgets the failures of an account: at all places, of links that were asked for, and of showing again who they are.
    func unlock(_ user: User) throws(SQLError) {
        let pattern = SignInLimit.herePrefix(user.email).reduce(into: "") { text, character in
            if "%_\\".contains(character) { text.append("\\") }
            text.append(character)
        }
        try send(
            """
            UPDATE sign_in_attempts SET failures = 0, locked_until = NULL
            WHERE subject LIKE \(pattern + "%") ESCAPE '\\'
            """)
        for purpose in ["account", "reset"] {
            try forget(.account(user.email, purpose: purpose, attempts: 0))
        }
        try forget(.again(user.id, attempts: 0))
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
