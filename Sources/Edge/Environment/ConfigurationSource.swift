// Reads keys one by one through swift-configuration, and collects everything that is wrong, so that a start names all of it.

import Configuration
import Model

/// All problems of a configuration, found in one run.
package struct ConfigurationProblems: Error, Sendable, CustomStringConvertible {
    package let problems: [String]

    package var description: String {
        "the configuration has \(problems.count == 1 ? "a problem" : "\(problems.count) problems"):\n"
            + problems.map { "  - \($0)" }.joined(separator: "\n")
    }
}

struct ConfigurationSource {
    private let reader: ConfigReader
    private let names: [String]
    private(set) var problems: [String] = []

    /// - Parameter layers: values by key, the strongest first.
    init(layers: [[String: String]]) {
        let layers = layers.map(Self.canonical)
        reader = ConfigReader(
            providers: layers.map { EnvironmentVariablesProvider(environmentVariables: $0) })
        names = layers.flatMap { $0.keys.filter { $0.hasPrefix("POSTERN_") } }
    }

    /// Replaces the names of the product scope by ours; an empty value is no value.
    private static func canonical(_ layer: [String: String]) -> [String: String] {
        var values = layer.filter { !$0.value.isEmpty }
        for (alias, name) in ConfigurationKey.aliases {
            if let value = values[alias], values[name] == nil { values[name] = value }
        }
        return values
    }

    mutating func problem(_ message: String) { problems.append(message) }

    func text(_ key: String) -> String? {
        reader.string(forKey: ConfigKey(key.lowercased().split(separator: "_").map(String.init)))
    }

    func text(_ key: ConfigurationKey) -> String? { text(key.name) }

    mutating func integer(_ key: ConfigurationKey, in range: ClosedRange<Int>, default value: Int) -> Int {
        guard let text = text(key) else { return value }
        guard let number = Int(text), range.contains(number) else {
            problem(
                "\(key.name) is \"\(text.prefix(40))\", and must be a whole number from \(range.lowerBound) to \(range.upperBound)"
            )
            return value
        }
        return number
    }

    mutating func seconds(_ key: ConfigurationKey, in range: ClosedRange<Double>) -> Double? {
        guard let text = text(key) else { return nil }
        guard let number = Double(text), range.contains(number) else {
            problem(
                "\(key.name) is \"\(text.prefix(40))\", and must be a number of seconds from \(range.lowerBound) to \(range.upperBound)"
            )
            return nil
        }
        return number
    }

    mutating func boolean(_ key: ConfigurationKey, default value: Bool) -> Bool {
        guard let text = text(key) else { return value }
        do throws(SettingProblem) {
            return try Bool(environment: text)
        } catch {
            problem("\(key.name) is \"\(text.prefix(40))\", and must be true or false")
            return value
        }
    }

    /// The instance's values of vault settings, `POSTERN_DEFAULT_…`.
    mutating func settingDefaults() -> [String: any SettingValue] {
        var values: [String: any SettingValue] = [:]
        for declaration in Settings.all {
            guard let text = text(declaration.environmentKey) else { continue }
            guard !declaration.isSecret else {
                problem(
                    "\(declaration.environmentKey) cannot be set: a secret belongs to a vault, and is kept sealed there"
                )
                continue
            }
            do throws(SettingProblem) {
                values[declaration.key] = try declaration.fromEnvironment(text)
            } catch {
                problem("\(declaration.environmentKey): \(error.message)")
            }
        }
        return values
    }

    /// A key of ours that nobody declared is a typing error, and would otherwise be a setting that silently does nothing.
    mutating func refuseUnknownKeys() {
        let known = Set(ConfigurationKey.all.map(\.name)).union(ConfigurationKey.clientKeys)
            .union(Settings.all.map(\.environmentKey))
        for name in Set(names).subtracting(known).sorted() {
            problem("\(name) is not a key of Postern; docs/configuration.md lists them")
        }
    }
}
