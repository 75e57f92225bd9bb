// Why something could not be sealed, opened or verified. Says nothing of what was inside.

package struct SealingError: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String

    package static let wrongKey = SealingError(
        description: "the sealed value cannot be opened: the master key is another one, or the value was changed"
    )
    package static let malformedKey = SealingError(
        description: "a master key is 32 bytes in base64 (44 characters), for example from: openssl rand -base64 32"
    )
    package static let malformedHash = SealingError(description: "a stored password hash cannot be read")
}
