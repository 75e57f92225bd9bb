// A key with a new text while the old one goes on: both are the same caller, and both end with the key.

import CoreTestSupport
import Gate
import Model
import SQL
import Sealing
import Store
import Testing

@Suite("Rotation with overlap")
struct RotationTests {
    private func works(_ text: Secret<String>, _ house: TestHouse) async throws -> Bool {
        do {
            _ = try await house.authenticator.authenticate(key: text)
            return true
        } catch let error as PosternError where error.code == .unauthorized {
            return false
        }
    }

    private func rotate(
        _ key: KeyID,
        _ overlap: Int64,
        _ house: TestHouse
    ) async throws -> (key: APIKey, text: Secret<String>) {
        try await house.callers.rotateKey(key, overlap: overlap, by: nil, in: house.vault.id, audit: house.audit())
    }

    private let request = CallerDirectory.KeyRequest(label: "robot", kind: .tool, scopes: .send)

    @Test("the old text goes on to the millisecond, as the same caller, and the new one beside it")
    func overlap() async throws {
        try await withHouse { house in
            let (key, old) = try await house.callers.issueKey(request, in: house.vault.id)
            #expect(try await works(old, house))
            let (rotated, new) = try await rotate(key.id, 60, house)
            #expect(rotated.retiringUntil == house.clock.now().adding(seconds: 60))
            var retiring = key.caller
            retiring.isRetiring = true
            #expect(try await house.authenticator.authenticate(key: old) == retiring)
            #expect(try await house.authenticator.authenticate(key: new) == key.caller)
            // The public part alone proves nothing, of either text.
            for prefix in [key.prefix, rotated.prefix] {
                #expect(try await !works(Secret("ak_\(prefix)_\(RandomToken.text(43))"), house))
            }
            house.clock.advance(seconds: 59.999)
            #expect(try await works(old, house))
            house.clock.advance(seconds: 0.001)
            #expect(try await !works(old, house))
            #expect(try await works(new, house))
        }
    }

    @Test("a second rotation within the overlap ends the oldest text")
    func twice() async throws {
        try await withHouse { house in
            let (key, first) = try await house.callers.issueKey(request, in: house.vault.id)
            let second = try await rotate(key.id, 60, house).text
            let third = try await rotate(key.id, 60, house).text
            #expect(try await !works(first, house))
            #expect(try await works(second, house))
            #expect(try await works(third, house))
            let fourth = try await rotate(key.id, 0, house)
            #expect(fourth.key.retiringUntil == nil)
            for text in [first, second, third] { #expect(try await !works(text, house)) }
            #expect(try await works(fourth.text, house))
        }
    }

    @Test("revoking ends both texts at once, though both are in memory")
    func revoked() async throws {
        try await withHouse { house in
            let (key, old) = try await house.callers.issueKey(request, in: house.vault.id)
            let new = try await rotate(key.id, 604_800, house).text
            #expect(try await works(old, house))
            #expect(try await works(new, house))
            try await house.callers.revokeKey(key.id, in: house.vault.id)
            #expect(try await !works(old, house))
            #expect(try await !works(new, house))
        }
    }

    @Test("a parent that is revoked ends its children's texts at once, though they are in memory")
    func children() async throws {
        try await withHouse { house in
            var admin = request
            admin.scopes = [.send, .admin]
            let parent = try await house.callers.issueKey(admin, in: house.vault.id).key
            let (child, text) = try await house.callers.issueKey(
                admin, by: parent.caller, in: house.vault.id, audit: house.audit())
            let grandchild = try await house.callers.issueKey(
                request, by: child.caller, in: house.vault.id, audit: house.audit()
            ).text
            #expect(try await works(text, house))
            #expect(try await works(grandchild, house))
            try await house.callers.revokeKey(parent.id, in: house.vault.id)
            #expect(try await !works(text, house))
            #expect(try await !works(grandchild, house))
        }
    }

    @Test("an overlap is no longer than the key's own life")
    func expiry() async throws {
        try await withHouse { house in
            var short = request
            short.expiresAt = house.clock.now().adding(seconds: 10)
            let (key, old) = try await house.callers.issueKey(short, in: house.vault.id)
            let (rotated, new) = try await rotate(key.id, 60, house)
            #expect(rotated.retiringUntil == short.expiresAt && rotated.expiresAt == short.expiresAt)
            house.clock.advance(seconds: 10)
            for text in [old, new] { #expect(try await !works(text, house)) }
            let error = await #expect(throws: PosternError.self) { try await rotate(key.id, 0, house) }
            #expect(error?.code == .conflict)
        }
    }

    @Test("another process's rotation and revocation are known after it was told", arguments: TestEngine.all)
    func otherProcess(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let other = Authenticator(database: house.database, clock: house.clock)
            let (key, old) = try await house.callers.issueKey(request, in: house.vault.id)
            _ = try await other.authenticate(key: old)
            let new = try await rotate(key.id, 0, house).text
            try await other.forgetAll()
            await #expect(throws: PosternError.self) { try await other.authenticate(key: old) }
            _ = try await other.authenticate(key: new)
            try await house.callers.revokeKey(key.id, in: house.vault.id)
            try await other.forgetAll()
            await #expect(throws: PosternError.self) { try await other.authenticate(key: new) }
        }
    }
}
