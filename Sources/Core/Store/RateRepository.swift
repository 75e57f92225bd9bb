// The token buckets that all processes share. How a bucket fills and what may be taken is not decided here: the rows
// are held, handed to whoever knows, and written back, all in one transaction.

package import Model
package import SQL

/// A bucket as it was left. `Rates` knows what became of it since.
package struct RateRow: Hashable, Sendable {
    /// `vault`, `key:key_01…`: the name within the vault.
    package let bucket: String
    /// In 1/3,600,000 of a token, so that a millisecond gains exactly `perHour` of them. Below zero after the limit was
    /// lowered.
    package var level: Int64
    package var limit: RateLimit
    package var updatedAt: Timestamp

    package init(bucket: String, level: Int64, limit: RateLimit, updatedAt: Timestamp) {
        self.bucket = bucket
        self.level = level
        self.limit = limit
        self.updatedAt = updatedAt
    }
}

package struct RateRepository: Sendable {
    private let database: any SQLDatabase

    package init(database: any SQLDatabase) { self.database = database }

    /// Holds buckets of one or more vaults until the commit, and writes back those that `change` changed.
    ///
    /// Rows are taken in one order everywhere, so two processes wait for each other but never in a circle. For that a
    /// process must not have two of these at work at the same time: both could be in one transaction.
    /// - Parameters:
    ///   - fresh: the buckets, each named once, as they are where there is no row yet.
    ///   - change: gets the rows in the places of `fresh`. May run twice, from the same rows.
    package func draw<Answer: Sendable>(
        _ fresh: [VaultID: [RateRow]],
        change: @escaping @Sendable (inout [VaultID: [RateRow]]) -> Answer
    ) async throws -> Answer {
        let order = fresh.flatMap { vault, rows in rows.indices.map { Place(vault, $0, rows[$0].bucket) } }.sorted()
        return try await database.write(cost: 256 * order.count) { connection in
            let found = try Self.hold(order, fresh, connection)
            var rows = found
            let answer = change(&rows)
            for place in order {
                guard let row = rows[place.vault]?[place.index], row != found[place.vault]?[place.index] else {
                    continue
                }
                try connection.send(
                    """
                    UPDATE rate_buckets SET level = \(row.level), per_hour = \(row.limit.perHour),
                        burst = \(row.limit.burst), updated_at = \(row.updatedAt.milliseconds)
                    WHERE vault_id = \(place.vault.text) AND bucket = \(place.bucket)
                    """)
            }
            return answer
        }
    }

    /// The buckets as they are; none of a bucket that is full since long, or was never used.
    package func rows(_ buckets: [String], in vault: VaultID) async throws -> [RateRow] {
        guard !buckets.isEmpty else { return [] }
        return try await database.read { connection in
            try connection.rows(
                """
                SELECT bucket, level, per_hour, burst, updated_at FROM rate_buckets
                WHERE vault_id = \(vault.text) AND bucket IN \(list: buckets)
                """
            ).map { try Self.row($0, from: 0) }
        }
    }

    /// Instance level: forgets buckets that are full again: one that is not there counts as full.
    /// - Returns: how many were forgotten.
    package func dropFull(at now: Timestamp, limit: Int) async throws -> Int {
        // A minute for clocks that differ.
        let time = now.milliseconds - 60_000
        return try await database.write { connection in
            try connection.execute(
                """
                DELETE FROM rate_buckets WHERE (vault_id, bucket) IN (SELECT vault_id, bucket FROM rate_buckets
                    WHERE updated_at < \(time) AND (burst * \(RateRow.unit) - level) / per_hour < \(time) - updated_at
                    ORDER BY updated_at LIMIT \(limit) /* skip locked */)
                """)
        }
    }
}

extension RateRow {
    /// What a token is in `level`.
    package static let unit: Int64 = 3_600_000
}

extension RateRepository {
    /// Where a row stands in what was asked for, in the order in which rows are taken.
    private struct Place: Comparable {
        let vault: VaultID
        let index: Int
        let bucket: String

        init(_ vault: VaultID, _ index: Int, _ bucket: String) {
            self.vault = vault
            self.index = index
            self.bucket = bucket
        }

        static func < (left: Place, right: Place) -> Bool { (left.vault, left.bucket) < (right.vault, right.bucket) }
    }

    /// One statement makes the row or holds the one that is there, so that none can come or go in between.
    private static func hold(
        _ order: [Place],
        _ fresh: [VaultID: [RateRow]],
        _ connection: any SQLConnection
    ) throws -> [VaultID: [RateRow]] {
        var held = fresh
        var rest = order[...]
        while !rest.isEmpty {
            // Powers of two: a few statements are prepared, not one a length.
            var size = 1
            while size * 2 <= min(rest.count, 64) { size *= 2 }
            let places = rest.prefix(size)
            rest = rest.dropFirst(size)
            let values = Self.values(of: places, fresh)
            let rows = try connection.rows(
                """
                INSERT INTO rate_buckets (vault_id, bucket, level, per_hour, burst, updated_at) VALUES \(values)
                ON CONFLICT (vault_id, bucket) DO UPDATE SET updated_at = rate_buckets.updated_at
                RETURNING vault_id, bucket, level, per_hour, burst, updated_at
                """)
            var found: [VaultID: [String: RateRow]] = [:]
            for row in rows {
                let bucket = try Self.row(row, from: 1)
                found[VaultID(stored: try row.text(0)), default: [:]][bucket.bucket] = bucket
            }
            for place in places {
                guard let row = found[place.vault]?[place.bucket] else {
                    throw SQLError(.unexpectedValue, "a bucket that was held did not come back")
                }
                held[place.vault]?[place.index] = row
            }
        }
        return held
    }

    /// `(…), (…)`, as many as places.
    private static func values(of places: ArraySlice<Place>, _ fresh: [VaultID: [RateRow]]) -> SQLStatement {
        var values = SQLStatement.StringInterpolation(literalCapacity: 0, interpolationCount: 6 * places.count)
        for place in places {
            guard let row = fresh[place.vault]?[place.index] else { continue }
            values.appendLiteral(place == places.first ? "(" : ", (")
            values.appendInterpolation(place.vault.text)
            values.appendLiteral(", ")
            values.appendInterpolation(row.bucket)
            for number in [row.level, Int64(row.limit.perHour), Int64(row.limit.burst), row.updatedAt.milliseconds] {
                values.appendLiteral(", ")
                values.appendInterpolation(number)
            }
            values.appendLiteral(")")
        }
        return SQLStatement(stringInterpolation: values)
    }

    private static func row(_ row: SQLRow, from first: Int) throws(SQLError) -> RateRow {
        let (perHour, burst) = (try row.integer(first + 2), try row.integer(first + 3))
        let allowed = 1...Int64(RateLimit.maximum)
        guard allowed.contains(perHour), allowed.contains(burst) else {
            throw SQLError(.unexpectedValue, "a bucket's limit is out of range")
        }
        return RateRow(
            bucket: try row.text(first), level: try row.integer(first + 1),
            limit: RateLimit(perHour: Int(perHour), burst: Int(burst)),
            updatedAt: Timestamp(milliseconds: try row.integer(first + 4)))
    }
}
