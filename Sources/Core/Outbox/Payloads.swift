// The finished bytes of a message, as a route sends them and as `/raw` shows them.

import Mapping
package import Model
package import SQL
import Store

package struct Payloads: Sendable {
    private let messages: MessageRepository

    package init(database: any SQLDatabase) { messages = MessageRepository(database: database) }

    /// The RFC 5322 message; `nil` when there is no such message in the vault.
    package func message(_ id: MessageID, in vault: VaultID) async throws -> [UInt8]? {
        guard let message = try await messages.find(id, in: vault),
            let payload = try await messages.payload(of: id, in: vault)
        else { return nil }
        switch payload.format {
        case .mime: return payload.bytes
        case .envelope:
            return try MessageBuilder.message(
                of: CanonicalDialect.stored(payload.bytes), correlation: message.correlation, date: message.createdAt)
        }
    }
}
