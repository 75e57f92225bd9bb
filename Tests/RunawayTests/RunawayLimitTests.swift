// The guard together with the limiter that counts for it: how many copies really go, in one process and in two.

import CoreTestSupport
import Logging
import Mapping
import Model
import Rates
import SQL
import TestSupport
import Testing

@testable import Runaway

@Suite("The guard with its limiter")
struct RunawayLimitTests {
    private static let silent = Logger(label: "tests") { _ in SwiftLogNoOpLogHandler() }

    /// One process: does with a submission what the pipeline does.
    private struct Process {
        let watchman = Watchman()
        let limiter: RateLimiter

        init(_ database: any SQLDatabase, clock: ManualClock) {
            limiter = RateLimiter(database: database, isShared: true, clock: clock, logger: silent)
        }

        /// - Returns: the code of a refusal; `nil` where the message went.
        func submit(_ message: MappedMessage, repeats: Int? = nil, replies: Int? = nil) async throws -> ErrorCode? {
            let judgement = try watchman.judge(message, repeats: repeats, replies: replies)
            do {
                _ = try await limiter.take(judgement.charges, in: watchman.caller.vault)
                return nil
            } catch let error as PosternError {
                watchman.guardian.withdraw(judgement)
                return error.code
            }
        }
    }

    private func withProcesses(
        _ count: Int,
        _ engine: TestEngine,
        _ body: ([Process], ManualClock) async throws -> Void
    ) async throws {
        try await withDatabase(engine) { database in
            let clock = ManualClock()
            try await database.write { connection in
                let vault = VaultID(high: 0, low: 1).text
                try connection.execute(
                    """
                    INSERT INTO vaults (id, slug, name, data_key, created_at)
                    VALUES (\(vault), 'v', 'n', \([UInt8(0)]), \(clock.now().milliseconds))
                    """)
            }
            try await body((0..<count).map { _ in Process(database, clock: clock) }, clock)
        }
    }

    @Test("a limit of N lets N copies through, the rest is refused as repeated", arguments: TestEngine.all)
    func copies(engine: TestEngine) async throws {
        for limit in [1, 2, 5] {
            try await withProcesses(1, engine) { processes, _ in
                var codes: [ErrorCode?] = []
                for number in 0..<(limit + 3) {
                    codes.append(
                        try await processes[0].submit(
                            try Letter().raw(extra: [("Message-ID", "<\(number)@a>")]), repeats: limit))
                }
                #expect(codes == Array(repeating: nil, count: limit) + Array(repeating: .repeatedMessage, count: 3))
                let other = try Letter { $0.text = "Something else.\n" }.raw()
                #expect(try await processes[0].submit(other, repeats: limit) == nil)
            }
        }
    }

    @Test("two processes let one more through at most, in all", arguments: TestEngine.all)
    func twoProcesses(engine: TestEngine) async throws {
        try await withProcesses(2, engine) { processes, _ in
            let message = try Letter().raw()
            var sent = 0
            for round in 0..<12 {
                if try await processes[round % 2].submit(message, repeats: 5) == nil { sent += 1 }
            }
            #expect((5...6).contains(sent))
        }
    }

    @Test("automatic replies are counted to the message, in all processes together", arguments: TestEngine.all)
    func replies(engine: TestEngine) async throws {
        try await withProcesses(2, engine) { processes, _ in
            var sent = 0
            for round in 0..<12 {
                let reply = try Letter {
                    $0.headers = [("Auto-Submitted", "auto-replied")]
                    $0.text = "Answer \(round)\n"
                }.raw()
                if try await processes[round % 2].submit(reply, replies: 3) == nil { sent += 1 }
            }
            #expect(sent == 3)
        }
    }
}
