// Whose mail a vault may send: the envelope's sender and the From header, each by the same patterns.

import MIME
import Model
import Policy
import Testing

@Suite("Sender domains")
struct SenderDomainRuleTests {
    private let vault = VaultID(stored: "vlt_0000000000000000")

    private func context(_ allowed: [String]?, key: [String]? = nil) throws -> PolicyContext {
        let patterns = try allowed?.map { try #require(DomainPattern($0)) }
        let narrower = try key?.map { try #require(DomainPattern($0)) }
        return PolicyContext(
            caller: Caller(
                vault: vault, identity: .key(KeyID(stored: "key_0000000000000000")), label: "robot", scopes: .send,
                senderDomains: narrower),
            settings: SettingsSnapshot(vault: patterns.map { ["allowed_sender_domains": $0] } ?? [:], instance: [:]))
    }

    private func envelope(sender: String, from: String? = nil, recipient: String = "ann@example.net") throws -> Envelope
    {
        let from = try EmailAddress(parsing: from ?? sender)
        let party = Envelope.Party(name: "x", address: from)
        return Envelope(
            recipient: try EmailAddress(parsing: recipient), sender: try EmailAddress(parsing: sender), priority: 1,
            content: .init(from: party, replyTo: party, subject: nil, body: .blocks(text: "t", html: [])))
    }

    private func refusal(_ envelopes: [Envelope], _ context: PolicyContext) -> PosternError? {
        do {
            try Policy.standard.judge(envelopes, context)
            return nil
        } catch {
            return error
        }
    }

    @Test(
        "addresses of allowed domains pass",
        arguments: [
            (["acme.com"], "a@acme.com"), (["acme.com"], "a@ACME.com"), (["other.com", "acme.com"], "a@acme.com"),
            (["*.acme.com"], "a@mail.acme.com"), (["*.acme.com"], "a@a.b.acme.com"),
            (["bücher.example"], "a@xn--bcher-kva.example"),
            (["xn--bcher-kva.example"], "a@BÜCHER.example"),
        ] as [([String], String)])
    func allowed(_ domains: [String], _ sender: String) throws {
        #expect(refusal([try envelope(sender: sender)], try context(domains))?.description == nil)
    }

    @Test(
        "addresses of any other domain are refused, and the domain is named",
        arguments: [
            (["acme.com"], "a@evil.com"), (["acme.com"], "a@mail.acme.com"), (["*.acme.com"], "a@acme.com"),
            (["acme.com"], "a@acme.com.evil.com"), (["acme.com"], "a@xacme.com"), ([], "a@acme.com"),
            (["acme.com"], "a@\u{430}cme.com"), (["acme.com"], "a@[192.0.2.1]"),
            (["bücher.example"], "a@bucher.example"),
        ] as [([String], String)])
    func refused(_ domains: [String], _ sender: String) throws {
        let error = refusal([try envelope(sender: sender)], try context(domains))
        #expect(error?.code == .senderDomainNotAllowed)
        #expect(error?.detail.contains(try EmailAddress(parsing: sender).asciiDomain) == true)
    }

    @Test("the From header is judged like the envelope's sender")
    func bothAddresses() throws {
        let context = try context(["acme.com"])
        let header = refusal([try envelope(sender: "a@acme.com", from: "a@evil.com")], context)
        #expect(header?.code == .senderDomainNotAllowed && header?.detail.contains("From") == true)
        let sender = refusal([try envelope(sender: "a@evil.com", from: "a@acme.com")], context)
        #expect(sender?.code == .senderDomainNotAllowed && sender?.detail.contains("envelope") == true)
        #expect(refusal([try envelope(sender: "bounce@acme.com", from: "a@acme.com")], context)?.code == nil)
    }

    @Test("a key narrows what the vault allows, and widens nothing")
    func narrowing() throws {
        let context = try context(["acme.com", "*.acme.com"], key: ["news.acme.com", "evil.com"])
        #expect(refusal([try envelope(sender: "a@news.acme.com")], context)?.code == nil)
        let narrowed = refusal([try envelope(sender: "a@acme.com")], context)
        #expect(narrowed?.code == .senderDomainNotAllowed && narrowed?.detail.contains("robot") == true)
        #expect(refusal([try envelope(sender: "a@evil.com")], context)?.code == .senderDomainNotAllowed)
        let header = try envelope(sender: "a@news.acme.com", from: "a@acme.com")
        #expect(refusal([header], context)?.code == .senderDomainNotAllowed)
        let nothing = try self.context(["acme.com"], key: [])
        #expect(refusal([try envelope(sender: "a@acme.com")], nothing)?.code == .senderDomainNotAllowed)
    }

    @Test("without a value for the setting nobody may send")
    func unset() throws {
        let error = refusal([try envelope(sender: "a@acme.com")], try context(nil))
        #expect(error?.code == .settingUnset)
        #expect(error?.detail.contains("allowed_sender_domains") == true)
    }

    @Test("one envelope that is refused refuses the submission")
    func allOrNone() throws {
        let context = try context(["acme.com"])
        let good = try envelope(sender: "a@acme.com")
        let bad = try envelope(sender: "a@acme.com", from: "a@evil.com")
        #expect(refusal([good, good], context)?.code == nil)
        #expect(refusal([good, good, bad], context)?.code == .senderDomainNotAllowed)
    }

    @Test("rules are asked in their order, and a rule of one's own is one more")
    func order() throws {
        struct Refusing: PolicyRule {
            let code: ErrorCode
            func judge(_ envelope: Envelope, _ context: PolicyContext) throws(PosternError) {
                throw PosternError(code, "no")
            }
        }
        let policy = Policy(rules: [SenderDomainRule(), Refusing(code: .conflict), Refusing(code: .forbidden)])
        let context = try context(["acme.com"])
        let error = #expect(throws: PosternError.self) { try policy.judge([envelope(sender: "a@acme.com")], context) }
        #expect(error?.code == .conflict)
        #expect(throws: Never.self) { try Policy(rules: []).judge([envelope(sender: "a@evil.com")], context) }
    }

    @Test(
        "the address that the vault's strategy gives does not bind a narrower key; any other of its domain does",
        arguments: [
            ("fixed", "bounces@acme.com", true), ("fixed", "ceo@acme.com", false),
            ("fixed", "bounces+x@acme.com", false),
            ("verp", "bounces+ann=example.net@acme.com", true), ("verp", "bounces+bob=example.net@acme.com", false),
            ("verp", "bounces@acme.com", false), ("verp", "ceo@acme.com", false), ("from", "bounces@acme.com", false),
        ])
    func strategies(_ strategy: String, _ sender: String, _ passes: Bool) throws {
        let domains = try ["acme.com", "other.test"].map { try #require(DomainPattern($0)) }
        let context = PolicyContext(
            caller: Caller(
                vault: vault, identity: .key(KeyID(stored: "key_0000000000000000")), label: "robot", scopes: .send,
                senderDomains: [domains[1]]),
            settings: SettingsSnapshot(
                vault: [
                    "allowed_sender_domains": domains,
                    "default_envelope_strategy": try EnvelopeStrategy(environment: strategy),
                    "envelope_address": try EmailAddress(parsing: "bounces@acme.com"),
                ], instance: [:]))
        let error = refusal([try envelope(sender: sender, from: "me@other.test")], context)
        #expect(error?.code == (passes ? nil : .senderDomainNotAllowed))
    }
}
