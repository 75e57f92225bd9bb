// What a rule may say, read strictly: what is wrong is named, and what is hostile is refused.

import JSON
import Model
import Store
import Testing

@testable import Alerts

@Suite("The form of a rule")
struct AlertRuleFormTests {
    private static let vault = VaultID(high: 0, low: 1)

    /// - Returns: the pointers of what is wrong; empty where the rule was taken.
    private func wrong(_ text: String, vault: VaultID? = nil, on rule: AlertRule? = nil) throws -> [String] {
        do {
            _ = try apply(text, vault: vault, on: rule)
            return []
        } catch let error as PosternError {
            #expect(error.code == .validationFailed)
            return error.problems.map(\.pointer)
        }
    }

    private func apply(_ text: String, vault: VaultID? = nil, on rule: AlertRule? = nil) throws -> AlertRule {
        let object = try #require(try JSONParser.parse(text).objectValue)
        let form = try AlertRuleForm(JSONReader(object), isChange: rule != nil)
        let condition = form.condition ?? rule?.condition ?? .refusals
        var made = rule ?? AlertRule.test(1, condition, vault: vault)
        let domains = try #require(DomainPattern("example.com"))
        try form.apply(to: &made, domains: vault == nil ? nil : [domains])
        return made
    }

    @Test("a condition is enough: everything else is as shipped")
    func smallest() throws {
        for condition in AlertCondition.allCases {
            let rule = try apply(#"{"condition":"\#(condition.rawValue)"}"#)
            #expect(rule.definition == AlertRule.Definition() && rule.isEnabled)
            #expect(AlertDefaults().terms(rule) == AlertDefaults().terms(condition))
        }
    }

    @Test("all that a rule can say is taken over")
    func whole() throws {
        let rule = try apply(
            """
            {"condition":"bounce_rate","is_enabled":false,"threshold":5,"minimum":20,"window_seconds":600,
             "cooldown_seconds":7200,"severity":"info","channels":["email"],"from":"alerts@example.com",
             "recipients":["ops@example.net","on-call@example.net"]}
            """, vault: Self.vault)
        let terms = AlertDefaults().terms(rule)
        #expect(!rule.isEnabled)
        #expect(terms.threshold == 5 && terms.minimum == 20 && terms.window == 600 && terms.cooldown == 7_200)
        #expect(terms.severity == .info && terms.channels == [.email] && terms.sender == "alerts@example.com")
        #expect(terms.recipients == ["ops@example.net", "on-call@example.net"])
    }

    @Test(
        "what is wrong is named",
        arguments: [
            (#"{}"#, ["/condition"]), (#"{"condition":"weather"}"#, ["/condition"]),
            (#"{"condition":7}"#, ["/condition"]), (#"{"condition":null}"#, ["/condition"]),
            (#"{"condition":"refusals","threshold":0}"#, ["/threshold"]),
            (#"{"condition":"refusals","threshold":-1}"#, ["/threshold"]),
            (#"{"condition":"refusals","threshold":"9"}"#, ["/threshold"]),
            (#"{"condition":"refusals","threshold":1.5}"#, ["/threshold"]),
            (#"{"condition":"refusals","threshold":9223372036854775807}"#, ["/threshold"]),
            (#"{"condition":"bounce_rate","threshold":101}"#, ["/threshold"]),
            (#"{"condition":"bounce_rate","minimum":0}"#, ["/minimum"]),
            (#"{"condition":"refusals","minimum":5}"#, ["/minimum"]),
            (#"{"condition":"broker_unreachable","threshold":5}"#, ["/threshold"]),
            (#"{"condition":"refusals","window_seconds":59}"#, ["/window_seconds"]),
            (#"{"condition":"sign_in_failures","window_seconds":901}"#, ["/window_seconds"]),
            (#"{"condition":"refusals","cooldown_seconds":0}"#, ["/cooldown_seconds"]),
            (#"{"condition":"refusals","cooldown_seconds":604801}"#, ["/cooldown_seconds"]),
            (#"{"condition":"refusals","severity":"fatal"}"#, ["/severity"]),
            (#"{"condition":"refusals","channels":["pager"]}"#, ["/channels"]),
            (#"{"condition":"refusals","channels":["email","email"]}"#, ["/channels"]),
            (#"{"condition":"refusals","channels":"email"}"#, ["/channels"]),
            (#"{"condition":"refusals","is_enabled":null}"#, ["/is_enabled"]),
            (#"{"condition":"refusals","is_enabled":"no"}"#, ["/is_enabled"]),
            (
                #"{"condition":"refusals","from":"a@example.com","recipients":["b@example.net"]}"#,
                ["/from", "/recipients"]
            ),
            (
                #"{"condition":"refusals","vault_id":"vlt_0000000000000002","id":"rul_1","url":"http://10.0.0.1/"}"#,
                ["/vault_id", "/id", "/url"]
            ),
            (
                #"{"condition":"refusals","threshold":0,"minimum":3,"window_seconds":1}"#,
                ["/threshold", "/minimum", "/window_seconds"]
            ),
        ])
    func refused(text: String, pointers: [String]) throws {
        #expect(try wrong(text) == pointers)
    }

    @Test(
        "a vault writes letters from its own domains to a few addresses, and nothing else",
        arguments: [
            (#""channels":["webhook"]"#, ["/channels"]),
            (#""channels":["email"]"#, ["/from", "/recipients"]),
            (#""from":"alerts@example.com""#, ["/recipients"]), (#""recipients":["ops@example.net"]"#, ["/from"]),
            (#""from":"alerts@elsewhere.example","recipients":["ops@example.net"]"#, ["/from"]),
            (#""from":"alerts@example.com","recipients":[]"#, ["/recipients"]),
            (#""from":"alerts@example.com","recipients":["ops"]"#, ["/recipients"]),
            (#""from":"alerts@example.com","recipients":["a@b.test\r\nBcc: c@d.test"]"#, ["/recipients"]),
            (#""from":"Alerts <alerts@example.com>","recipients":["ops@example.net"]"#, ["/from"]),
            (#""from":"alerts@example.com","recipients":["a@b.test","a@b.test"]"#, ["/recipients"]),
            (
                #""from":"alerts@example.com","recipients":["1@b.test","2@b.test","3@b.test","4@b.test","5@b.test","6@b.test"]"#,
                ["/recipients"]
            ),
        ])
    func vaults(fields: String, pointers: [String]) throws {
        #expect(try wrong(#"{"condition":"refusals",\#(fields)}"#, vault: Self.vault) == pointers)
    }

    @Test("what is the whole instance's is no condition of a vault's rule")
    func instanceConditions() throws {
        for condition in AlertCondition.allCases where !condition.traits.isOfVaults {
            #expect(try wrong(#"{"condition":"\#(condition.rawValue)"}"#, vault: Self.vault) == ["/condition"])
        }
    }

    @Test("a change leaves what it does not name, and null brings back what is shipped")
    func change() throws {
        let rule = try apply(#"{"condition":"bounce_rate","threshold":5,"minimum":20,"severity":"info"}"#)
        let changed = try apply(#"{"threshold":null,"cooldown_seconds":60,"is_enabled":false}"#, on: rule)
        #expect(changed.definition.threshold == nil && changed.definition.minimum == 20)
        #expect(changed.definition.severity == .info && changed.definition.cooldown == 60 && !changed.isEnabled)
        #expect(try wrong("{}", on: rule) == [""])
        #expect(try wrong(#"{"condition":"refusals"}"#, on: rule) == ["/condition"])
        #expect(try wrong(#"{"condition":null}"#, on: rule) == [""])
        #expect(try wrong(#"{"threshold":500}"#, on: rule) == ["/threshold"])
    }
}
