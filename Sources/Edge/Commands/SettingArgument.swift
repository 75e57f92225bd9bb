// `KEY=VALUE` as it is typed, and the JSON that is meant by it.

import ArgumentParser
import JSON
import Model

struct SettingArgument {
    let key: String
    private let text: String

    init(_ argument: String) throws {
        guard let equals = argument.firstIndex(of: "="), equals > argument.startIndex else {
            throw ValidationError("'\(Visible.text(argument))' is not written as key=value.")
        }
        key = String(argument[..<equals])
        text = String(argument[argument.index(after: equals)...])
    }

    var isFromInput: Bool { text == "-" }

    func value(_ terminal: Terminal) throws -> JSONValue {
        guard isFromInput else { return Self.json(text, for: key) }
        do throws(FileFailure) {
            var bytes = try terminal.input()
            while bytes.last == 0x0A || bytes.last == 0x0D { bytes.removeLast() }
            guard let input = String(validating: bytes, as: UTF8.self) else {
                throw FileFailure(description: "standard input is not UTF-8")
            }
            return Self.json(input, for: key)
        } catch {
            throw ValidationError(error.description)
        }
    }

    /// JSON where that is a value of the setting; else what the plain text means to it, so that a password of digits
    /// stays a text. Anything else goes to the server as it is, which knows best what is wrong with it.
    static func json(_ text: String, for key: String) -> JSONValue {
        let json = try? JSONParser.parse(text)
        if json == .null { return .null }
        guard let setting = Settings.declaration(key) else { return json ?? .string(text) }
        if let json, (try? setting.fromJSON(json)) != nil { return json }
        if let value = try? setting.fromEnvironment(text) { return value.json }
        return json ?? .string(text)
    }
}
