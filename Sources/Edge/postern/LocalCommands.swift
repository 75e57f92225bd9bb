// The commands that work on the server's own machine: their action is `machine`, which no door allows.

import Commands

extension ServeCommand: LocalCommand {}
extension QuickstartCommand: LocalCommand {}
extension MigrateCommand: LocalCommand {}
extension CheckCommand: LocalCommand {}
extension SetupCommand: LocalCommand {}
extension RecoverCommand: LocalCommand {}
extension ReferenceCommand: LocalCommand {}
extension RotateMasterCommand: LocalCommand {}
