// Waiting without sleeping for a fixed time: look again until it is so, or until patience ends.

package struct NeverHappened: Error, CustomStringConvertible {
    package let description: String

    package init(_ what: String) { description = "never happened: \(what)" }
}

/// Polls a condition every few milliseconds.
/// - Throws: `NeverHappened` after `seconds`.
package func eventually(
    _ what: String,
    within seconds: Double = 20,
    _ condition: () async throws -> Bool
) async throws {
    let end = ContinuousClock.now.advanced(by: .seconds(seconds))
    while try await !condition() {
        guard ContinuousClock.now < end else { throw NeverHappened(what) }
        try await Task.sleep(for: .milliseconds(5))
    }
}
