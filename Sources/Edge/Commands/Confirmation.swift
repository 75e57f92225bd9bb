// What cannot be taken back has to be named once more.

import ArgumentParser

struct Confirmation: ParsableArguments {
    @Option(help: ArgumentHelp("The name once more, instead of being asked for it.", valueName: "name"))
    var confirm: String?

    /// - Parameter act: what is about to happen, for the question.
    func check(_ name: String, _ act: String) throws(CommandFailure) {
        let question = Question(prompt: "To \(act), type \(name)", otherwise: "give --confirm \(name)")
        let typed = try Terminal.current.answer(question, given: confirm)
        guard typed == name else {
            throw .failed("\(typed) is not \(name); nothing was done")
        }
    }
}
