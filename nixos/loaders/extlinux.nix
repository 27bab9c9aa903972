# U-Boot, by `generic-extlinux-compatible`. It boots nothing once: the default is the trial until its boot check.
{ config, lib, pkgs, ... }:

let
  cfg = config.services.golden-generation;
  loader = config.boot.loader.generic-extlinux-compatible;
  paths = map (boot: boot.path) (loader.mirroredBoots or [ ]);
in
{
  imports = [ ../mark-hook.nix ];

  config = lib.mkIf (cfg.enable && loader.enable) {
    services.golden-generation = {
      backends = [ "extlinux" ];
      loaderSettings.loader = "extlinux";
      marksInstaller = true;
      listsGolden = true;
    };

    assertions = [
      {
        assertion = lib.filter (path: path != "/boot") paths == [ ];
        message = ''
          services.golden-generation: boot.loader.generic-extlinux-compatible.mirroredBoots has ${toString paths}, and only /boot
          is looked after: the others would boot what is not the default. Install to /boot alone.
        '';
      }
      {
        assertion = loader.configurationLimit > 1;
        message = ''
          services.golden-generation: boot.loader.generic-extlinux-compatible.configurationLimit is
          ${toString loader.configurationLimit}, so there is no entry to come back to while a new generation is tried. Set it to 2
          or more.
        '';
      }
    ];
  };
}
