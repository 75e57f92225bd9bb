// Keys come and go: a new one is fetched when a token names it, and nobody can make us fetch all the time.

import OpenID
import OpenIDTestSupport
import Testing
import WebTestSupport

@Suite("A provider's keys may change at any time")
struct KeyRotationTests {
    @Test("a new key is fetched once, and the old one is gone with it")
    func rotation() async throws {
        let (old, new) = (TestSigner.ec("old"), TestSigner.ec("new"))
        try await TestProvider.with { test in
            try test.publish(old)
            test.answer(try old.token(test.claims()))
            #expect(await test.failure() == nil)
            #expect(await test.failure() == nil)
            #expect(test.count("/keys") == 1)

            try test.publish(new)
            test.answer(try new.token(test.claims()))
            #expect(await test.failure() == nil)
            #expect(test.count("/keys") == 2)

            test.change { $0.now += 61 }
            test.answer(try old.token(test.claims()))
            #expect(await test.failure()?.message.contains("key that the provider does not have") == true)
        }
    }

    @Test("tokens with unknown names cost the provider one question a minute")
    func flood() async throws {
        let (ours, theirs) = (TestSigner.ec("ours"), TestSigner.ec("theirs"))
        try await TestProvider.with { test in
            try test.publish(ours)
            test.answer(try ours.token(test.claims()))
            #expect(await test.failure() == nil)
            test.change { $0.now += 61 }
            for number in 0..<20 {
                test.answer(try theirs.named("theirs\(number)").token(test.claims()))
                #expect(await test.failure()?.code == .invalidToken)
            }
            #expect(test.count("/keys") == 2)
            test.change { $0.now += 61 }
            #expect(await test.failure()?.code == .invalidToken)
            #expect(test.count("/keys") == 3)
        }
    }

    @Test("what is remembered is read again after an hour, and goes on while the provider is away")
    func lifetime() async throws {
        let signer = TestSigner.ec()
        try await TestProvider.with { test in
            try test.publish(signer)
            test.answer(try signer.token(test.claims()))
            #expect(await test.failure() == nil)
            test.change { $0.now += 3601 }
            test.answer(try signer.token(test.claims()))
            #expect(await test.failure() == nil)
            #expect(test.count("/keys") == 2)
            #expect(test.count("/.well-known/openid-configuration") == 2)

            test.change {
                $0.now += 3601
                $0.discovery = .hangUp
                $0.keys = .hangUp
            }
            test.answer(try signer.token(test.claims()))
            #expect(await test.failure() == nil)

            test.change { $0.now += 86_401 }
            test.answer(try signer.token(test.claims()))
            #expect(await test.failure()?.code == .unreachable)
        }
    }

    @Test("many who sign in at once ask for each document once")
    func together() async throws {
        let signer = TestSigner.ec()
        try await TestProvider.with { test in
            try test.publish(signer)
            test.answer(try signer.token(test.claims()))
            await withTaskGroup(of: OpenIDError?.self) { group in
                for _ in 0..<16 { group.addTask { await test.failure() } }
                for await error in group { #expect(error == nil) }
            }
            #expect(test.count("/token") == 16)
            #expect(test.count("/.well-known/openid-configuration") == 1)
            #expect(test.count("/keys") == 1)
        }
    }

    @Test("one who gives up does not take the answer away from those who wait with him")
    func givingUp() async throws {
        let signer = TestSigner.ec()
        try await TestProvider.with { test in
            try test.publish(signer)
            test.answer(try signer.token(test.claims()))
            let first = Task { await test.failure() }
            let second = Task { await test.failure() }
            first.cancel()
            #expect(await second.value == nil)
            _ = await first.value
        }
    }
}
