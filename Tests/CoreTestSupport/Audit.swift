// Audit entries of tests, and changes of settings whose entry no test looks at.

package import JSON
package import Model
package import Store
package import Vaults

extension TestHouse {
    /// Entries of the test under any action, with ids that no other entry in the house has.
    package func audit(as action: String) -> AuditMaker {
        { [ids, clock] resource, before, after in
            AuditEntry(
                id: ids.next(), at: clock.now(), actor: Actor(id: "tests", label: "tests", door: "cli"),
                action: action, resource: resource, before: before, after: after)
        }
    }
}

extension VaultDirectory {
    package func change(_ document: JSONObject, in vault: VaultID) async throws {
        try await change(document, in: vault) { resource, before, after in
            AuditEntry(
                id: entries.next(), at: SystemClock().now(), actor: Actor(id: "tests", label: "tests", door: "cli"),
                action: "settings.write", resource: resource, before: before, after: after)
        }
    }
}

private let entries = IdentifierGenerator(process: 1021, clock: SystemClock())
