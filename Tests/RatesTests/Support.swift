// What the suites of the limiter share: a vault on a database, takes in one line, and dice that can be thrown again.

import CoreTestSupport
import Logging
import Model
import SQL
import Store
import Testing

@testable import Rates

/// A seeded generator: a failing round can be had again.
struct Dice: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }

    mutating func roll(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &self) }
}

/// Two vaults on one database, and a clock that stands still.
struct RateHouse: Sendable {
    let database: any SQLDatabase
    let clock = ManualClock()
    let vault = VaultID(stored: "vlt_0000000000000001")
    let other = VaultID(stored: "vlt_0000000000000002")

    init(database: any SQLDatabase) async throws {
        self.database = database
        let vaults = VaultRepository(database: database)
        for id in [vault, other] {
            try await vaults.insert(
                Vault(id: id, slug: id.text, name: "Test", wrappedDataKey: [1], createdAt: clock.now()))
        }
    }

    /// A process.
    func limiter(isShared: Bool = true, on database: (any SQLDatabase)? = nil) -> RateLimiter {
        var logger = Logger(label: "tests")
        logger.logLevel = .critical
        return RateLimiter(
            database: database ?? self.database, isShared: isShared, clock: clock, logger: logger)
    }
}

func withRateHouse<Result>(
    _ engine: TestEngine = .standard,
    _ body: (RateHouse) async throws -> Result
) async throws -> Result {
    try await withDatabase(engine) { database in try await body(try await RateHouse(database: database)) }
}

extension RateLimiter {
    /// Takes tokens of one bucket.
    /// - Returns: the refusal; `nil` when it was granted.
    func refusal(_ tokens: Int = 1, of bucket: RateBucket, in vault: VaultID) async throws -> PosternError? {
        try await refusal([RateCharge(bucket, tokens: tokens)], in: vault)
    }

    func refusal(_ charges: [RateCharge], in vault: VaultID) async throws -> PosternError? {
        do {
            _ = try await take(charges, in: vault)
            return nil
        } catch let error as PosternError {
            return error
        }
    }

    /// How many of so many takes of one token pass, all at the same time.
    func passing(_ tries: Int, of bucket: RateBucket, in vault: VaultID) async throws -> Int {
        try await withThrowingTaskGroup { group in
            for _ in 0..<tries {
                group.addTask { try await self.refusal(of: bucket, in: vault) == nil ? 1 : 0 }
            }
            return try await group.reduce(0, +)
        }
    }
}

extension RateLimit {
    init(_ perHour: Int, burst: Int? = nil) { self.init(perHour: perHour, burst: burst ?? perHour) }
}
