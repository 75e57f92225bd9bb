// The instance's own data key: seals what belongs to no vault, and gives each purpose a key of its own.

package import Model
package import SQL
package import Sealing
import Store

package struct InstanceKey: Sendable {
    private static let name = "data"

    private let key: SealingKey

    /// The key of this database; made at the first call.
    /// - Throws: `SealingError.wrongKey` when the master key is another one, or `SQLError`.
    package static func open(
        database: any SQLDatabase,
        masterKey: SealingKey,
        clock: any WallClock
    ) async throws -> InstanceKey {
        let context = InstanceKeyRepository.context(name)
        let wrapped = try await InstanceKeyRepository(database: database).key(name, at: clock.now()) {
            try SealingKey.random().wrapped(by: masterKey, context: context)
        }
        return InstanceKey(key: try SealingKey(unwrapping: wrapped, by: masterKey, context: context))
    }

    /// - Parameter context: what the bytes belong to: `users/usr_…/totp`.
    package func seal(_ bytes: [UInt8], context: String) throws(SealingError) -> [UInt8] {
        try key.seal(bytes, context: context)
    }

    package func open(_ sealed: [UInt8], context: String) throws(SealingError) -> [UInt8] {
        try key.open(sealed, context: context)
    }

    /// 32 bytes for one purpose: the signing of access tokens, the seals of the audit log.
    package func derived(_ purpose: String) -> Secret<[UInt8]> { key.derived(purpose) }
}
