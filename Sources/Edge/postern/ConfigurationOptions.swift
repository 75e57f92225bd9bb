// Where a command's configuration comes from: the environment, then a file, then what is shipped.

import ArgumentParser
import Environment
import FoundationEssentials

struct ConfigurationOptions: ParsableArguments {
    @Option(name: .long, help: "A file of KEY=value lines. Default: postern.env, where it exists.")
    var config: String?

    /// - Parameter shipped: the weakest layer, as text of a file.
    /// - Throws: `ConfigurationProblems` with everything that is wrong.
    func load(shipped: String? = nil) throws -> InstanceConfiguration {
        var problems: [String] = []
        var layers = [ProcessInfo.processInfo.environment]
        let path = config ?? "postern.env"
        if let text = Self.text(at: path) {
            layers.append(EnvironmentFile(text) { problems.append("\(path): \($0)") }.values)
        } else if config != nil {
            problems.append("the file \(path) cannot be read")
        }
        if let shipped { layers.append(EnvironmentFile(shipped) { problems.append("quickstart.env: \($0)") }.values) }
        return try InstanceConfiguration(layers: layers, extraProblems: problems)
    }

    static func text(at path: String) -> String? { try? String(contentsOfFile: path, encoding: .utf8) }
}
