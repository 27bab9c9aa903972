# lanzaboote: systemd-boot with signed images. Its installer is that of boot.loader.external, which has no hook of its own.
{ config, lib, ... }:

let
  cfg = config.services.golden-generation;
  loader = config.boot.lanzaboote or { };
  places = [ "/boot" "/efi" "/boot/efi" ];
  esp = config.boot.loader.efi.efiSysMountPoint;
in
{
  imports = [ ../mark-hook.nix ];

  config = lib.mkIf (cfg.enable && (loader.enable or false)) {
    services.golden-generation = {
      backends = [ "lanzaboote" ];
      marksInstaller = true;
    };

    warnings = lib.optional ((loader.configurationLimit or null) != null) ''
      services.golden-generation: lanzaboote makes boot entries of the system profile only, and of its last
      ${toString loader.configurationLimit} generations (boot.lanzaboote.configurationLimit): an older golden generation loses its
      entry. Pin a newer one before, or set boot.lanzaboote.configurationLimit = null.
    '';

    assertions = [
      {
        assertion = lib.elem esp places;
        message = ''
          services.golden-generation: the boot partition is mounted at ${esp}, where the programs do not look for it. Mount it at
          /boot, /efi or /boot/efi (boot.loader.efi.efiSysMountPoint).
        '';
      }
    ];
  };
}
