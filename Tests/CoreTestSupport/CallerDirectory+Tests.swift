// Making callers in a test, where nobody asks who did it: short forms, audited as the test's.

package import Gate
package import Model
package import Sealing
package import Store

extension TestHouse {
    /// Entries of the test, with ids that no other entry in the house has.
    package func audit(_ action: Action = .keyWrite) -> AuditMaker { entries(action, ids, clock) }
}

/// Entries of nobody in particular.
private func entries(_ action: Action, _ ids: IdentifierGenerator, _ clock: any WallClock) -> AuditMaker {
    { resource, before, after in
        AuditEntry(
            id: ids.next(), at: clock.now(), actor: Actor(id: "tests", label: "tests", door: "cli"),
            action: action.rawValue, resource: resource, before: before, after: after)
    }
}

extension CallerDirectory {
    package func issueKey(_ request: KeyRequest, in vault: VaultID) async throws -> (key: APIKey, text: Secret<String>)
    {
        try await issueKey(request, by: nil, in: vault, audit: audit)
    }

    package func rotateKey(_ id: KeyID, in vault: VaultID) async throws -> (key: APIKey, text: Secret<String>) {
        try await rotateKey(id, by: nil, in: vault, audit: audit)
    }

    package func revokeKey(_ id: KeyID, in vault: VaultID) async throws {
        try await revokeKey(id, by: nil, in: vault, audit: audit)
    }

    package func addUser(
        username: String?,
        label: String?,
        in vault: VaultID
    ) async throws -> (user: SMTPUser, password: Secret<String>) {
        try await addUser(UserRequest(username: username, label: label), by: nil, in: vault, audit: audit)
    }

    package func deleteUser(_ id: SMTPUserID, in vault: VaultID) async throws {
        try await deleteUser(id, by: nil, in: vault, audit: audit)
    }

    private var audit: AuditMaker { entries(.keyWrite, ids, clock) }
}
