// Masking: nothing that is named like a secret gets into before and after, and nothing else is lost.

import CoreTestSupport
import JSON
import Model
import SQL
import Store
import Testing

@Suite("Audit masking")
struct MaskTests {
    @Test("every setting that is declared secret is masked, and no other is")
    func settings() throws {
        let secret = Settings.all.filter(\.isSecret)
        try #require(!secret.isEmpty)
        for setting in Settings.all {
            let value = JSONObject([setting.key: .string("planted")])
            let masked = AuditMask.masked(.object(value))
            if setting.isSecret {
                #expect(masked == .object(JSONObject([setting.key: .object(JSONObject(["set": .bool(true)]))])))
            } else {
                #expect(masked == .object(value), "\(setting.key)")
            }
        }
    }

    @Test(
        "names of secrets are seen however they are written, and however deep",
        arguments: [
            "password", "smarthost_password", "smarthostPassword", "Password", "X-Auth-Token", "client_secret",
            "clientSecret",
            "SECRET", "apiKey", "api_key", "API-KEY", "private.key", "access_token", "refreshToken", "recovery_codes",
            "authorization", "Cookie", "totp", "credentials", "master key", "passphrase",
        ])
    func names(_ name: String) {
        let planted = JSONValue.object(JSONObject([name: .string("planted"), "label": .string("kept")]))
        let deep = JSONValue.object(JSONObject(["list": .array([planted])]))
        let text = String(decoding: JSONWriter.write(AuditMask.masked(deep)), as: UTF8.self)
        #expect(!text.contains("planted") && text.contains("kept") && text.contains("\"set\":true"))
        for value in [JSONValue.array([.string("planted")]), .object(JSONObject(["x": .string("planted")]))] {
            let masked = AuditMask.masked(.object(JSONObject([name: value])))
            #expect(!String(decoding: JSONWriter.write(masked), as: UTF8.self).contains("planted"))
        }
    }

    @Test(
        "what only sounds alike stays",
        arguments: [
            #"{"tokens_per_month":100000}"#, #"{"has_password":true}"#, #"{"password":null}"#,
            #"{"secret":{"set":false}}"#,
            #"{"password":{"changed":true}}"#, #"{"key":"settings"}"#, #"{"label":"secret agent"}"#,
            #"{"keys":["key_1"]}"#,
            #"{"tokenizer":"x"}"#, #"{"audit_digest":"00ff"}"#, #"{"code":"forbidden"}"#, #"{"domain_key":"x"}"#,
        ])
    func kept(_ text: String) throws {
        let value = try JSONParser.parse(text)
        #expect(AuditMask.masked(value) == value)
    }

    @Test("a text that signs somebody in is not kept, whatever it is called")
    func tokens() {
        let random = String(repeating: "aB3", count: 14) + "x"
        for text in ["ak_12345678_\(random)", "rt_\(random)", "it_\(random)", "the key is ak_12345678_\(random)."] {
            let masked = AuditMask.masked(.object(JSONObject(["note": .string(text)])))
            #expect(!String(decoding: JSONWriter.write(masked), as: UTF8.self).contains(random), "\(text)")
        }
        for text in ["key_06gzn0p1k2002x5v", random, "a_b_c", String(repeating: "a_", count: 100)] {
            #expect(AuditMask.masked(.string(text)) == .string(text))
        }
    }

    @Test("what is recorded is masked, whoever makes the entry", arguments: TestEngine.all)
    func recorded(_ engine: TestEngine) async throws {
        try await withLog(engine) { log in
            let after = JSONObject(["smarthost_password": .string("planted"), "default_priority": .integer(3)])
            try await log.repository.append(log.entry(after: .object(after)), in: log.vault)
            let texts = try await log.rows("SELECT after_value FROM audit_records WHERE after_value IS NOT NULL").map {
                try $0.text(0)
            }
            #expect(texts.contains(#"{"smarthost_password":{"set":true},"default_priority":3}"#))
            #expect(!texts.contains { $0.contains("planted") })
        }
    }
}
