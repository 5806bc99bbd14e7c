# check: every module of specs/attention on an odd map that is no square, through all strategies of the processor.
. "$(dirname "$0")/kit.sh"
seen=
# agrees MODULE SHAPE SETTING…
agrees() {
    name=$1 shape=$2
    shift 2
    seen="$seen $name "
    for setting; do set -- "$@" --set "$setting"; shift; done
    expect 0 "$fovea" check "$name" --backend cpu --rounds 1 --shape "$shape" "$@"
    says out " agrees"
}
agrees additive b=2,c=12,h=7,w=5
agrees attentive_conv b=2,c=7,h=11,w=3
agrees channel b=2,head=3,n=17,d=5
agrees clamped_linear b=2,head=3,n=35,d=9 clamp_min=0.5
agrees class_query b=2,head=3,n=17,d=5
agrees context_mixing b=1,c=16,h=9,w=7,e=12 num_heads=2 kernel_size=7 smk_size=3
agrees cross b=2,head=2,h=11,w=3,d=5 dilation=3 arm=2
agrees dense b=2,head=6,m=19,kv=3,n=23,d=7 causal=true window=9 alibi=true softcap=7
agrees frequency_filter b=2,c=24,h=7,w=5
agrees gated_position b=2,head=3,h=7,w=5,d=6
agrees halo b=2,head=2,h=9,w=15,d=6 block=3 halo=2
agrees head_tokens b=2,n=17,c=12 num_heads=3
agrees injective b=2,head=2,h=7,w=5,d=6
agrees large_small b=2,c=32,h=7,w=5
agrees metamixer b=2,c=9,h=7,w=11 kernel_size2=3
agrees neighborhood b=2,head=3,h=15,w=9,d=5 'kernel=[5,3]' 'dilation=[2,1]' 'stride=[1,2]' 'causal=[false,true]'
agrees neighborhood b=1,head=2,t=5,h=4,w=7,d=3 rank=3 kernel=3 rel_pos_bias=true
agrees outlook b=2,h=7,w=5,c=12 num_heads=3
agrees overlapping b=2,head=3,h=9,w=15,d=4 window=3 overlap=5
agrees rank_augmented b=2,head=3,h=7,w=5,d=12
agrees rank_augmented b=2,head=3,h=5,w=3,d=8 linear=false
agrees recursive_gate b=2,c=16,h=7,w=9 'filter=[14,8]'
agrees routed b=2,head=2,h=9,w=15,d=5 regions=3 top=2
agrees single_head b=2,n=35,d=5,c=9
agrees window b=2,head=2,h=15,w=9,d=5 window=3
agrees window_pooled b=2,head=2,h=15,w=9,d=6 window=5 pool=4

for spec in "$root"/specs/attention/*.lua; do
    name=$(basename "$spec" .lua)
    case $seen in *" $name "*) ;; *) fail "no case checks $name" ;; esac
done
