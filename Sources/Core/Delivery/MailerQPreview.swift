// What MailerQ would be given for a message: for shadow mode, and for people who want to see it before it goes.

package import Model
package import SQL

package struct MailerQPreview: Sendable {
    private let handOvers: MailerQHandOvers

    package init(database: any SQLDatabase, mapping: MailerQMapping) {
        handOvers = MailerQHandOvers(database: database, mapping: mapping, maximumBytes: .max)
    }

    /// The JSON document, byte for byte what the next hand-over publishes; `nil` when there is no such message in the vault.
    /// - Throws: `PosternError` where the message cannot be written down for MailerQ, `SQLError`.
    package func document(for id: MessageID, in vault: VaultID) async throws -> [UInt8]? {
        try await handOvers.next(of: id, in: vault)?.json
    }
}
