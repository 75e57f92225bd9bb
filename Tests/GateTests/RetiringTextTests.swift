// A key's old text, while it goes on beside the new one: it sends and reads, and leaves nothing behind that outlasts it.

import CoreTestSupport
import Gate
import Model
import SQL
import Sealing
import Store
import Testing

@Suite("Retiring texts")
struct RetiringTextTests {
    /// An administrator's key that was rotated, what it made before, and who signs in by each of its texts.
    private struct Scene {
        let house: TestHouse
        let key: APIKey
        let child: APIKey
        let user: SMTPUser
        let password: Secret<String>
        let old: Caller
        let new: Caller
        let newText: Secret<String>

        init(_ house: TestHouse) async throws {
            self.house = house
            let vault = house.vault.id
            let admin = CallerDirectory.KeyRequest(label: "admin", kind: .tool, scopes: .all)
            let issued = try await house.callers.issueKey(admin, in: vault)
            let current = try await house.authenticator.authenticate(key: issued.text)
            #expect(!current.isRetiring)
            child = try await house.callers.issueKey(Self.request, by: current, in: vault, audit: house.audit()).key
            (user, password) = try await house.callers.addUser(
                CallerDirectory.UserRequest(username: "printer"), by: current, in: vault, audit: house.audit())
            (key, newText) = try await house.callers.rotateKey(
                issued.key.id, overlap: 3_600, by: current, in: vault, audit: house.audit())
            old = try await house.authenticator.authenticate(key: issued.text)
            new = try await house.authenticator.authenticate(key: newText)
        }

        static let request = CallerDirectory.KeyRequest(label: "child", kind: .tool, scopes: .send)

        /// Everything that writes keys and logins.
        func writes(by caller: Caller) -> [(name: String, run: () async throws -> Void)] {
            let (callers, vault, audit) = (house.callers, house.vault.id, house.audit())
            var change = CallerDirectory.UserChange()
            change.label = "another"
            return [
                ("issue", { _ = try await callers.issueKey(Self.request, by: caller, in: vault, audit: audit) }),
                (
                    "relabel",
                    { _ = try await callers.relabelKey(child.id, as: "x", by: caller, in: vault, audit: audit) }
                ),
                ("rotate", { _ = try await callers.rotateKey(child.id, by: caller, in: vault, audit: audit) }),
                ("renew", { _ = try await callers.rotateKey(key.id, by: caller, in: vault, audit: audit) }),
                ("revoke", { try await callers.revokeKey(child.id, by: caller, in: vault, audit: audit) }),
                (
                    "add",
                    {
                        let request = CallerDirectory.UserRequest(username: "second")
                        _ = try await callers.addUser(request, by: caller, in: vault, audit: audit)
                    }
                ),
                ("change", { _ = try await callers.changeUser(user.id, change, by: caller, in: vault, audit: audit) }),
                ("new password", { _ = try await callers.rotateUser(user.id, by: caller, in: vault, audit: audit) }),
                ("delete", { try await callers.deleteUser(user.id, by: caller, in: vault, audit: audit) }),
            ]
        }
    }

    @Test("the old text makes, changes and ends no keys and logins, and takes the key from nobody")
    func refused() async throws {
        try await withHouse { house in
            let scene = try await Scene(house)
            #expect(scene.old.isRetiring)
            let entries = try await house.database.count("audit_records")
            for write in scene.writes(by: scene.old) {
                let error = await #expect(throws: PosternError.self, "\(write.name)") { try await write.run() }
                #expect(error?.code == .forbidden && error?.fix == "Use the key's new text.", "\(write.name)")
            }
            #expect(try await house.database.count("audit_records") == entries, "nothing was written")
            #expect(try await house.authenticator.authenticate(key: scene.newText) == scene.new)
            let login = try await house.authenticator.authenticate(username: "printer", password: scene.password)
            #expect(login.label == scene.user.label)
        }
    }

    @Test("the new text does all of it")
    func allowed() async throws {
        try await withHouse { house in
            let scene = try await Scene(house)
            #expect(!scene.new.isRetiring)
            for write in scene.writes(by: scene.new) {
                await #expect(throws: Never.self, "\(write.name)") { try await write.run() }
            }
        }
    }

    @Test("the old text still sends and reads")
    func reads() async throws {
        try await withHouse { house in
            let scene = try await Scene(house)
            for action in [Action.messageSend, .messageRead, .keyRead, .selfRead] {
                try Gate().authorize(.caller(scene.old), action, on: .vault(house.vault.id, .unlimited))
            }
            #expect(try await house.callers.key(scene.child.id, for: scene.old).id == scene.child.id)
            #expect(try await house.callers.user(scene.user.id, for: scene.old).id == scene.user.id)
        }
    }
}
