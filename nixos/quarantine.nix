# What a system was built from, and what failed: what the quarantine goes by.
{ config, lib, ... }:

let
  inherit (lib) mkOption types;
  cfg = config.services.golden-generation;
in
{
  options.services.golden-generation.quarantine.secondChanceAfterSecs = mkOption {
    # Programs count it in 32 bits.
    type = types.ints.between 0 4294967295;
    default = 0;
    example = 86400;
    description = ''
      Time in seconds after which a system that failed may be deployed once more; twice as long after each time that it fails
      again. With 0 it never may, until `golden quarantine release`. Only time that the machine was up counts, for its clock may
      be wrong: at least since the last boot, and before that as far as somebody tried to deploy it.
    '';
  };

  config = lib.mkIf cfg.enable {
    # A file of the system, so that it can be read before the system has ever run.
    environment.etc."golden-generation/source.json".text = builtins.toJSON {
      revision = config.system.configurationRevision or null;
    };
  };
}
