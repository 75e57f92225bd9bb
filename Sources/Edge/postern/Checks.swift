// Questions that are asked at the same time, each for a bounded time, and answered in their order.

import Synchronization

struct Check: Sendable {
    let name: String
    /// What is so, in words; throws what is wrong.
    let work: @Sendable () async throws -> String

    init(_ name: String, _ work: @escaping @Sendable () async throws -> String) {
        self.name = name
        self.work = work
    }
}

enum Checks {
    /// Seconds for one of them.
    static let patience = 10.0

    /// Prints a line for each.
    /// - Returns: how many problems there are.
    static func run(_ checks: [Check]) async -> Int {
        await withTaskGroup(of: (Int, Result<String, any Error>).self) { group in
            for (index, check) in checks.enumerated() {
                group.addTask { (index, await outcome(check)) }
            }
            var outcomes: [Int: Result<String, any Error>] = [:]
            var problems = 0
            var next = 0
            for await (index, outcome) in group {
                outcomes[index] = outcome
                while let outcome = outcomes[next] {
                    switch outcome {
                    case .success(let words): print("ok       \(checks[next].name): \(words)")
                    case .failure(let error):
                        print("problem  \(checks[next].name): \(error)")
                        problems += 1
                    }
                    next += 1
                }
            }
            return problems
        }
    }

    /// What does not answer in time is left to itself: threads that wait for a network cannot be hurried, and the program ends.
    private static func outcome(_ check: Check) async -> Result<String, any Error> {
        let first = FirstAnswer()
        return await withCheckedContinuation { continuation in
            first.isAwaited(by: continuation)
            // Not children, because a group would wait for the slower one.
            Task {
                do { first.give(.success(try await check.work())) } catch { first.give(.failure(error)) }
            }
            Task {
                try? await Task.sleep(for: .seconds(patience))
                first.give(.failure(StartError(description: "no answer within \(Int(patience)) s")))
            }
        }
    }
}

/// Resumes with the first of several answers.
private final class FirstAnswer: Sendable {
    private typealias Waiting = CheckedContinuation<Result<String, any Error>, Never>

    private let waiting = Mutex<Waiting?>(nil)

    func isAwaited(by continuation: CheckedContinuation<Result<String, any Error>, Never>) {
        waiting.withLock { $0 = continuation }
    }

    func give(_ answer: Result<String, any Error>) {
        let continuation = waiting.withLock { waiting in
            defer { waiting = nil }
            return waiting
        }
        continuation?.resume(returning: answer)
    }
}
