// What somebody asks a rule to say, read strictly: every field that is wrong is named, and none is dropped in silence.

package import JSON
import MIME
package import Model
package import Store

package struct AlertRuleForm: Sendable {
    /// What a field says: nothing, that the shipped value holds again, or something.
    private enum Field<Value: Sendable>: Sendable {
        case absent
        case shipped
        case given(Value)

        func put(_ slot: inout Value?) {
            switch self {
            case .absent: break
            case .shipped: slot = nil
            case .given(let value): slot = value
            }
        }
    }

    /// `nil` where the body names none.
    package let condition: AlertCondition?
    private let isEnabled: Bool?
    private let threshold: Field<Int>
    private let minimum: Field<Int>
    private let window: Field<Int>
    private let cooldown: Field<Int>
    private let severity: Field<AlertSeverity>
    private let channels: Field<[AlertWay]>
    private let sender: Field<String>
    private let recipients: Field<[String]>

    /// Fields that say something about numbers, ways and people; `null` stands for the shipped value.
    private static let names = [
        "threshold", "minimum", "window_seconds", "cooldown_seconds", "severity", "channels", "from", "recipients",
    ]

    /// - Parameter isChange: of a rule that is there: its condition stays, and something has to be named.
    /// - Throws: `validation_failed` with all that is wrong about the fields themselves.
    package init(_ reader: JSONReader, isChange: Bool) throws(PosternError) {
        var reader = reader
        condition = Self.word("condition", &reader)
        if isChange, condition != nil {
            reader.problem("cannot be changed: delete the rule and make another", at: "condition")
        } else if !isChange {
            _ = reader.required("condition", condition)
        }
        if reader.isNull("is_enabled") { reader.problem("must not be null", at: "is_enabled") }
        isEnabled = reader.bool("is_enabled")
        func field<Value>(_ name: String, _ value: Value?) -> Field<Value> {
            value.map(Field.given) ?? (reader.isNull(name) ? .shipped : .absent)
        }
        threshold = field("threshold", Self.number("threshold", &reader))
        minimum = field("minimum", Self.number("minimum", &reader))
        window = field("window_seconds", Self.number("window_seconds", &reader))
        cooldown = field("cooldown_seconds", Self.number("cooldown_seconds", &reader))
        severity = field("severity", Self.word("severity", &reader))
        channels = field("channels", Self.words("channels", &reader))
        sender = field("from", Self.address(reader.string("from"), "from", &reader))
        recipients = field("recipients", Self.addresses("recipients", &reader))
        let namesSomething = isEnabled != nil || Self.names.contains { reader.value($0) != nil || reader.isNull($0) }
        reader.finish()
        if isChange, reader.problems.isEmpty, !namesSomething {
            reader.problem("names nothing to change: \((["is_enabled"] + Self.names).joined(separator: ", "))")
        }
        guard reader.problems.isEmpty else { throw .validation(reader.problems) }
    }

    /// Puts what was asked for into a rule, and looks at the whole.
    /// - Parameter domains: that the vault may send from; `nil` for the instance's rules.
    /// - Throws: `validation_failed`.
    package func apply(to rule: inout AlertRule, domains: [DomainPattern]?) throws(PosternError) {
        if let isEnabled { rule.isEnabled = isEnabled }
        threshold.put(&rule.definition.threshold)
        minimum.put(&rule.definition.minimum)
        window.put(&rule.definition.window)
        cooldown.put(&rule.definition.cooldown)
        severity.put(&rule.definition.severity)
        channels.put(&rule.definition.channels)
        sender.put(&rule.definition.sender)
        recipients.put(&rule.definition.recipients)
        let problems = Self.numbers(rule) + Self.ways(rule, domains ?? [])
        guard problems.isEmpty else { throw .validation(problems) }
    }

    // MARK: The whole

    private static func numbers(_ rule: AlertRule) -> [JSONProblem] {
        let (condition, definition) = (rule.condition, rule.definition)
        let traits = condition.traits
        var problems: [JSONProblem] = []
        func check(_ name: String, _ value: Int?, _ range: ClosedRange<Int>?, _ unit: String) {
            guard let value else { return }
            guard let range else {
                problems.append(JSONProblem(pointer: "/\(name)", message: "is nothing that \(condition.rawValue) has"))
                return
            }
            guard !range.contains(value) else { return }
            let message = "must be from \(range.lowerBound) to \(range.upperBound) \(unit)"
            problems.append(JSONProblem(pointer: "/\(name)", message: message))
        }
        check("threshold", definition.threshold, traits.threshold?.range, traits.threshold?.unit ?? "")
        check("minimum", definition.minimum, traits.minimum, "messages")
        check("window_seconds", definition.window, traits.window.range, "seconds")
        check("cooldown_seconds", definition.cooldown, AlertTraits.cooldown, "seconds")
        return problems
    }

    private static func ways(_ rule: AlertRule, _ domains: [DomainPattern]) -> [JSONProblem] {
        let definition = rule.definition
        var problems: [JSONProblem] = []
        func problem(_ name: String, _ message: String) {
            problems.append(JSONProblem(pointer: "/\(name)", message: message))
        }
        guard rule.vault != nil else {
            let configured = "is for rules of vaults: the instance's letters go where POSTERN_ALERT_EMAIL says"
            if definition.sender != nil { problem("from", configured) }
            if definition.recipients != nil { problem("recipients", configured) }
            return problems
        }
        if !rule.condition.traits.isOfVaults {
            problem(
                "condition", "\(rule.condition.rawValue) is about the whole instance, so a vault has no rule for it")
        }
        if definition.channels?.contains(.webhook) == true {
            problem("channels", "the webhook is the instance's: rules of vaults write letters only")
        }
        let isWriting =
            definition.channels?.contains(.email) ?? (definition.sender ?? definition.recipients?.first != nil)
        if isWriting, definition.sender == nil { problem("from", "is required for letters") }
        if isWriting, definition.recipients == nil { problem("recipients", "is required for letters") }
        if let sender = definition.sender, let domain = (try? EmailAddress(parsing: sender))?.asciiDomain,
            !domains.contains(where: { $0.matches(asciiDomain: domain) })
        {
            problem("from", "is of \(domain), which is not in the vault's allowed_sender_domains")
        }
        return problems
    }

    // MARK: Each field

    private static func number(_ name: String, _ reader: inout JSONReader) -> Int? {
        reader.integer(name).map { Int($0) }
    }

    private static func word<Word: RawRepresentable & CaseIterable>(_ name: String, _ reader: inout JSONReader) -> Word?
    where Word.RawValue == String {
        guard let text = reader.string(name) else { return nil }
        if let word = Word(rawValue: text) { return word }
        reader.problem("is none of \(Self.list(Word.self))", at: name)
        return nil
    }

    private static func words<Word: RawRepresentable & CaseIterable & Hashable>(
        _ name: String,
        _ reader: inout JSONReader
    ) -> [Word]? where Word.RawValue == String {
        guard let texts = reader.strings(name) else { return nil }
        let words = texts.compactMap(Word.init)
        if words.count < texts.count { reader.problem("holds what is none of \(Self.list(Word.self))", at: name) }
        if Set(words).count < words.count { reader.problem("holds something twice", at: name) }
        return words
    }

    private static func list<Word: RawRepresentable & CaseIterable>(_ type: Word.Type) -> String
    where Word.RawValue == String {
        Word.allCases.map(\.rawValue).joined(separator: ", ")
    }

    private static func address(_ text: String?, _ name: String, _ reader: inout JSONReader) -> String? {
        guard let text else { return nil }
        if let address = try? EmailAddress(parsing: text) { return address.description }
        reader.problem("\"\(text.prefix(100))\" is not a mail address", at: name)
        return nil
    }

    private static func addresses(_ name: String, _ reader: inout JSONReader) -> [String]? {
        guard let texts = reader.strings(name) else { return nil }
        let addresses = texts.compactMap { address($0, name, &reader) }
        if !AlertTraits.recipients.contains(texts.count) || Set(addresses).count < addresses.count {
            let (least, most) = (AlertTraits.recipients.lowerBound, AlertTraits.recipients.upperBound)
            reader.problem("must hold \(least) to \(most) different addresses", at: name)
        }
        return addresses
    }
}
