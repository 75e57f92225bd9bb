// One tunable of a vault: its key, its type, its rule. Values come from the vault, else from the instance, never from code.

package import JSON

/// What is wrong with a value that was offered for a setting.
package struct SettingProblem: Error, Sendable {
    package let message: String
    package init(_ message: String) { self.message = message }
}

/// A type that a setting can have: read from JSON (the API) and from text (`POSTERN_DEFAULT_…`).
package protocol SettingValue: Sendable {
    /// For documentation: `integer`, `list of domains`.
    static var typeName: String { get }
    init(json: JSONValue) throws(SettingProblem)
    init(environment: String) throws(SettingProblem)
    var json: JSONValue { get }
}

package struct Setting<Value: SettingValue>: Sendable {
    package let key: String
    let check: @Sendable (Value) -> String?

    init(_ key: String, check: @escaping @Sendable (Value) -> String? = { _ in nil }) {
        self.key = key
        self.check = check
    }

    func checked(_ value: Value) throws(SettingProblem) -> Value {
        if let problem = check(value) { throw SettingProblem(problem) }
        return value
    }
}

/// A setting without its type, for lists, documentation and storage.
package struct SettingDeclaration: Sendable {
    package let key: String
    package let typeName: String
    package let summary: String
    /// Whether "no value" has a meaning of its own. Otherwise a missing value is the error `setting_unset`.
    package let isOptional: Bool
    /// Whether the value is sealed, and never shown again.
    package let isSecret: Bool
    package let fromJSON: @Sendable (JSONValue) throws(SettingProblem) -> any SettingValue
    package let fromEnvironment: @Sendable (String) throws(SettingProblem) -> any SettingValue

    /// The instance's value: `POSTERN_DEFAULT_` and the key, so `POSTERN_DEFAULT_ROUTE`, `POSTERN_DEFAULT_DEFAULT_PRIORITY`.
    package var environmentKey: String { "POSTERN_DEFAULT_\(key.uppercased())" }

    init<Value: SettingValue>(
        _ setting: Setting<Value>,
        optional: Bool = false,
        secret: Bool = false,
        _ summary: String
    ) {
        key = setting.key
        typeName = Value.typeName
        self.summary = summary
        isOptional = optional
        isSecret = secret
        fromJSON = { json throws(SettingProblem) in try setting.checked(Value(json: json)) }
        fromEnvironment = { text throws(SettingProblem) in try setting.checked(Value(environment: text)) }
    }
}
