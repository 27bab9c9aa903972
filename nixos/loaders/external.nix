# A loader that a command of the owner's knows. Its contract is docs/external-loader.md.
{ config, lib, ... }:

let
  cfg = config.services.golden-generation;
  loader = config.boot.loader;
  others = lib.filter (name: loader.${name}.enable) [ "systemd-boot" "grub" "generic-extlinux-compatible" ];
in
{
  imports = [ ../mark-hook.nix ];

  config = lib.mkIf cfg.enable (lib.mkMerge [
    (lib.mkIf (cfg.loaderCommand != null) {
      services.golden-generation = {
        backends = [ "external" ];
        loaderSettings = { loader = "external"; loader_command = "${cfg.loaderCommand}"; };
        marksInstaller = true;
      };
      assertions = [{
        assertion = others == [ ];
        message = ''
          services.golden-generation.loaderCommand: ${toString others} is enabled, which golden-generation knows without a
          command. Do not set loaderCommand, or disable that loader.
        '';
      }];
    })
    {
      assertions = [{
        assertion = loader.external.enable -> cfg.backends != [ ];
        message = ''
          services.golden-generation: boot.loader.external installs a loader that is not known here. Name a command that knows it
          (services.golden-generation.loaderCommand, docs/external-loader.md).
        '';
      }];
    }
  ]);
}
