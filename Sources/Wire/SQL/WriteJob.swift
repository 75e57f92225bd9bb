// One caller's write on its way through an engine's group commit.

/// A body that waits for its transaction, and the caller that waits for the body. The body may run more than once: what it did
/// before was taken back. Exactly one of the last run's `finish` and `refuse` answers the caller.
package struct WriteJob: Sendable {
    /// What a body came to; the caller is told only when the transaction's end is known.
    package struct Outcome {
        package let succeeded: Bool
        /// Answers the caller: with the commit's error where there is one, else with what the body returned or threw.
        package let finish: (SQLError?) -> Void
    }

    package let run: @Sendable (any SQLConnection) -> Outcome
    package let refuse: @Sendable (SQLError) -> Void

    package init<Value: Sendable>(
        _ body: @escaping @Sendable (any SQLConnection) throws -> Value,
        _ caller: CheckedContinuation<Value, any Error>
    ) {
        run = { connection in
            do {
                let value = try body(connection)
                return Outcome(succeeded: true) { commitError in
                    if let commitError { caller.resume(throwing: commitError) } else { caller.resume(returning: value) }
                }
            } catch {
                return Outcome(succeeded: false) { _ in caller.resume(throwing: error) }
            }
        }
        refuse = { error in caller.resume(throwing: error) }
    }
}
