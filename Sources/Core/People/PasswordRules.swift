// Which passwords are taken: long ones that neither everybody nor those who know the person would try.

package import Model
package import Sealing

package enum PasswordRules {
    /// Characters.
    package static let shortest = 12
    /// Bytes: enough for every sentence, and no burden for scrypt.
    package static let longest = 512

    /// - Parameter about: what others know of the person: address, name.
    /// - Throws: `weak_password` with what is wrong with it, never with the password.
    package static func check(_ password: Secret<String>, about: [String]) throws(PosternError) {
        if let reason = weakness(password.reveal(), about) {
            throw PosternError(.weakPassword, "the password \(reason)")
        }
    }

    private static func weakness(_ password: String, _ about: [String]) -> String? {
        if password.count < shortest { return "has fewer than \(shortest) characters" }
        if password.utf8.count > longest { return "has more than \(longest) bytes" }
        if password.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) {
            return "holds control characters, such as a line break"
        }
        let folded = password.lowercased()
        if Set(folded).count < 5 { return "consists of too few different characters" }
        if isRepeated(folded) { return "repeats one short piece" }
        if isRow(folded) { return "is a row of neighbouring letters or digits" }
        if isCommon(folded) { return "is one that many people use" }
        if isPersonal(folded, about) { return "is made of the address or the name of its owner" }
        return nil
    }

    /// `abcabcabcabc`, `passwordpassword`.
    private static func isRepeated(_ text: String) -> Bool {
        let characters = Array(text)
        return (1...characters.count / 2).contains { length in
            characters.indices.allSatisfy { characters[$0] == characters[$0 % length] }
        }
    }

    /// `abcdefghijkl`, `098765432109`, `qwertyuiop12`: at most two runs of such neighbours.
    private static func isRow(_ text: String) -> Bool {
        let characters = Array(text)
        let breaks = zip(characters, characters.dropFirst()).filter { left, right in
            !rows.contains { row in
                row.contains { $0 == left && $1 == right } || row.contains { $0 == right && $1 == left }
            }
        }
        return breaks.count < 2
    }

    /// Neighbours, in both directions; the last of a row of digits is beside the first.
    private static let rows: [[(Character, Character)]] = [
        "abcdefghijklmnopqrstuvwxyz", "01234567890", "1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm", "qwertzuiop",
        "yxcvbnm", "azertyuiop", "qsdfghjklm", "wxcvbn",
    ].map { Array(zip($0, $0.dropFirst())) }

    /// A word that everybody tries first, whatever stands before and after it: `Password12345!`, `p4ssw0rd-2026`.
    private static func isCommon(_ text: String) -> Bool {
        let letters = text.map { substitutes[$0] ?? $0 }
        func core(_ characters: [Character]) -> String {
            let front = characters.drop { !$0.isLetter }
            return String(String(front.reversed().drop { !$0.isLetter }).reversed())
        }
        // Digits at the end are digits there, and letters within a word.
        let trimmed = core(Array(text)).map { substitutes[$0] ?? $0 }
        return [core(letters), String(trimmed), text].contains { candidate in
            words.contains(candidate)
                || words.contains { first in
                    candidate.hasPrefix(first) && words.contains(String(candidate.dropFirst(first.count)))
                }
        }
    }

    private static let substitutes: [Character: Character] = [
        "0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "7": "t", "@": "a", "$": "s", "!": "i", "€": "e",
    ]

    private static let words: Set<String> = [
        "password", "passwort", "passw", "motdepasse", "contrasena", "kennwort", "secret", "geheim", "letmein",
        "welcome",
        "willkommen", "bienvenue", "admin", "administrator", "administrateur", "root", "superuser", "master", "login",
        "qwerty", "qwertz", "azerty", "qwertyuiop", "asdfgh", "iloveyou", "monkey", "dragon", "football", "baseball",
        "sunshine", "princess", "superman", "batman", "starwars", "trustno", "whatever", "freedom", "shadow", "michael",
        "computer", "internet", "changeme", "changeit", "default", "guest", "test", "testing", "user", "hello", "hallo",
        "summer", "winter", "spring", "autumn", "sommer", "company", "office", "security", "access", "system", "server",
        "postern", "quickstart", "mailerq", "email", "correcthorsebatterystaple", "thisisapassword", "mypassword",
        "newpassword", "nopassword", "temppassword", "temporary", "pass", "word", "abc", "abcd", "abcdef", "my", "new",
        "the", "is", "love", "god", "please", "let", "me", "in", "open", "sesame", "opensesame",
    ]

    /// Without what everybody knows of the person little is left.
    private static func isPersonal(_ text: String, _ about: [String]) -> Bool {
        let pieces = about.flatMap { $0.lowercased().split { !$0.isLetter && !$0.isNumber } }
            .filter { $0.count >= 3 }.sorted { $0.count > $1.count }
        guard !pieces.isEmpty else { return false }
        var rest = text
        for piece in pieces { rest = without(String(piece), rest) }
        return rest != text && rest.count(where: \.isLetter) < 4 && rest.count < 8
    }

    private static func without(_ piece: String, _ text: String) -> String {
        var (rest, kept) = (text[...], "")
        while let first = rest.first {
            if rest.hasPrefix(piece) {
                rest = rest.dropFirst(piece.count)
            } else {
                kept.append(first)
                rest = rest.dropFirst()
            }
        }
        return kept
    }
}
