// Passwords that anybody would try are refused, and those that nobody would are not.

import Model
import People
import Sealing
import Testing

@Suite("Password rules")
struct PasswordRulesTests {
    private let about = ["ada.lovelace@analytical-engines.example", "Ada Lovelace"]

    private func isTaken(_ password: String) -> Bool {
        do throws(PosternError) {
            try PasswordRules.check(Secret(password), about: about)
            return true
        } catch {
            #expect(error.code == .weakPassword)
            #expect(password.isEmpty || !error.description.contains(password), "the error shows the password")
            return false
        }
    }

    @Test(
        "good ones",
        arguments: [
            "four unrelated words", "correct horse battery staple", "Tr0ub4dor&3xyz", "zK9#mQ2$vL7!",
            "äöüß ist mehr als ascii",
            "пароль который никто не знает", "ada likes to walk at night", "password is what I do not use",
            "1 million reasons to go", (0..<40).map { "word \($0)" }.joined(separator: ", "),
        ])
    func good(password: String) { #expect(isTaken(password)) }

    @Test(
        "short, or long",
        arguments: ["", "short", "elevenchars", String(repeating: "long words ", count: 60)]
    )
    func form(password: String) { #expect(!isTaken(password)) }

    @Test("control characters")
    func control() {
        #expect(!isTaken("four unrelated\nwords"))
        #expect(!isTaken("four\0unrelated words"))
    }

    @Test(
        "what everybody tries",
        arguments: [
            "password1234", "Password12345!", "p4ssw0rd-2026", "P@ssw0rd123456", "passwordpassword", "letmeinletmein",
            "administrator", "Administrator1!", "welcome2026!!", "qwertyuiop123", "123456789012", "012345678901",
            "987654321098", "abcdefghijkl", "aaaaaaaaaaaa", "abcabcabcabc", "121212121212", "correcthorsebatterystaple",
            "changeme1234", "postern-2026", "iloveyou!!!!!", "asdfghjklasdfghjkl",
        ])
    func common(password: String) { #expect(!isTaken(password)) }

    @Test(
        "what those who know the person try",
        arguments: ["ada.lovelace1", "AdaLovelace1815", "lovelace-ada-1", "analytical-engines", "Ada Lovelace!"])
    func personal(password: String) { #expect(!isTaken(password)) }
}
